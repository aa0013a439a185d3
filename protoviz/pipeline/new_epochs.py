"""Add epochs that a trainer has written since a study of its checkpoints was made."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from protoviz import layout
from protoviz.config import params, studies
from protoviz.config.series import SeriesStudy
from protoviz.errors import StudyError
from protoviz.pipeline import study_files


def study(folder: Path) -> SeriesStudy:
    """The parameters of the study of checkpoints in a folder.

    Raises:
        StudyError: there is no study, or one that trains its networks.
    """
    place = folder / layout.PARAMS
    found = studies.parse(params.read(place), str(place))
    if not isinstance(found, SeriesStudy):
        raise StudyError(
            str(place),
            expected="a study of checkpoints",
            found="one that trains its networks",
            remedy="change train.keep, which says what epochs it has",
        )
    return found


def write(folder: Path, epochs: Sequence[int], sources: Mapping[tuple[str, int], Mapping[int, Path]]) -> None:
    """Write the epochs into params.yaml and their files into dvc.yaml; all else is kept, comments too.

    Args:
        folder: of the study.
        epochs: the epochs to analyse from now on, in ascending order.
        sources: (condition, run) -> epoch -> file of the checkpoint, as the study names it.

    Raises:
        StudyError: a file cannot be read or written, or dvc.yaml lacks the stage of a network.
    """
    values, pipeline = (study_files.read(folder / name) for name in (layout.PARAMS, layout.PIPELINE))
    values["checkpoints"]["epochs"] = list(epochs)
    code = study_files.code(values["checkpoints"]["network"])
    for (condition, run), paths in sources.items():
        name = f"checkpoints-{layout.item(condition, run)}"
        if name not in pipeline["stages"]:
            raise StudyError(
                str(folder / layout.PIPELINE),
                expected=f"a stage {name}, as `protoviz init` has written it",
                found="none",
                remedy="make the study anew in another folder",
            )
        pipeline["stages"][name]["deps"] = [*(str(paths[epoch]) for epoch in epochs), *code]
    study_files.write(folder / layout.PARAMS, study_files.yaml(values))
    study_files.write(folder / layout.PIPELINE, study_files.yaml(pipeline))
