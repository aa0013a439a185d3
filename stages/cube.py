"""All prototypes of the study as one cube, at no storage cost."""

from protoviz import layout
from protoviz.config.study import Study
from protoviz.store.cube_linking import link_cube
from stages import run_stage


def main(params: Study) -> None:
    """Link the prototypes of all networks into one store."""
    link_cube(
        layout.CUBE,
        [layout.prototypes(condition, run) for condition in params.conditions for run in params.runs],
    )


if __name__ == "__main__":
    run_stage(main)
