"""The card of the published prototypes (Q8)."""

from protoviz import files, layout
from protoviz.config.study import Study
from protoviz.report.dataset_card import ELSEWHERE, Part, card, origin
from protoviz.store import cube
from stages import run_stage

LICENCE = "MIT"  # of this repository


def main(params: Study) -> None:
    """Write the card that describes the cubes of the study."""
    general, ours = ELSEWHERE, False
    if params.images is not None and params.augmentations:
        general, ours = origin(params.images.source, params.images.path)
    parts = [Part(layout.CUBE, params.title, cube.open_cube(layout.CUBE), general, ours)]
    if params.training_stages is not None:
        pretrain, domain = params.training_stages.pretrain, params.training_stages.domain
        other, also_ours = origin(domain.source, domain.path)
        first = general if pretrain.weights is None else f"weights from {pretrain.weights}"
        parts.append(
            Part(
                layout.STAGES_CUBE,
                params.training_stages.title,
                cube.open_cube(layout.STAGES_CUBE),
                f"{first}; then {other}",
                pretrain.weights is None and ours and also_ours,
                "not published, digests are below; `dvc repro --force --single-item train_stages` makes them",
            )
        )
    with files.complete(layout.CARD) as partial:
        partial.write_text(card(parts, LICENCE))


if __name__ == "__main__":
    run_stage(main)
