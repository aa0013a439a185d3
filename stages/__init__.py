"""The stages of the pipeline (dvc.yaml): thin scripts that open data, make one call and write the result.

A stage is run as `python -m stages.train clrjit 1`: its arguments are the item of its matrix.
"""

import inspect
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from protoviz import layout
from protoviz.config import params, studies
from protoviz.config.series import SeriesStudy
from protoviz.config.study import Study
from protoviz.errors import StudyError
from protoviz.pipeline import elsewhere, executor, fingerprint, resume


def run_stage(main: Callable[..., None], *, whole: bool = False) -> None:
    """Read params.yaml and the item from the command line, run `main`, and report bad input in one line.

    Args:
        main: takes the parameters first, then the item it is for: nothing, `condition`, or
            `condition, run`.
        whole: whether a cluster, if there is one, runs the stage as a whole: for heavy stages that do not
            consist of tasks for `executor.run`.
    """
    elsewhere.leash()
    told: list[int] = []

    def interrupt(number: int, _: object) -> None:
        told.append(number)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):  # so that nothing half-written is left then, either
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, interrupt)
    try:
        values = params.read(layout.PARAMS)
        study = _fitting(main, studies.parse(values, str(layout.PARAMS)))
        axes = item(main, study, sys.argv[1:])
        name = Path(inspect.getfile(main)).stem
        if whole and executor.on_cluster():
            status = elsewhere.run(name, sys.argv[1:])
            if status:
                sys.exit(status)
            return
        with resume.running(fingerprint.find(name, axes, values)):
            main(study, **axes)
    except (Exception, KeyboardInterrupt) as error:
        if told:  # whatever it has been turned into: torch, for one, makes it an error of its own
            sys.exit(130)
        if not isinstance(error, StudyError):
            raise
        print(error, file=sys.stderr)
        sys.exit(1)


def item(main: Callable[..., None], study: Study, arguments: list[str]) -> dict[str, Any]:
    """The typed arguments of `main` after the parameters, by name, checked against the study.

    Raises:
        StudyError: there are too few or too many, or params.yaml lacks the condition or the run.
    """
    names = list(inspect.signature(main).parameters)[1:]
    if len(arguments) != len(names):
        raise StudyError(
            f"arguments of {main.__module__ if main.__module__ != '__main__' else sys.argv[0]}",
            expected=" ".join(names) or "none",
            found=" ".join(arguments) or "none",
            remedy="give the item of the matrix, as dvc.yaml does",
        )
    return {name: _value(name, text, study) for name, text in zip(names, arguments, strict=True)}


# Kind of parameters that a stage may ask for by its annotation -> what is said if they are of another kind.
_KINDS: dict[Any, tuple[str, str]] = {
    params.Params: ("a study whose networks are trained", "params.yaml with `checkpoints`"),
    params.ParamsWithFinetuning: ("a study with `training_stages`", "none in params.yaml"),
    SeriesStudy: ("a study whose networks are given", "params.yaml without `checkpoints`"),
}


def _fitting(main: Callable[..., None], study: Any) -> Any:
    """The parameters, if they are of the kind that the stage's annotations ask for.

    Raises:
        StudyError: they are of a study whose networks come from elsewhere, or of one without study B.
    """
    wanted = next(iter(inspect.signature(main, eval_str=True).parameters.values())).annotation
    if wanted in _KINDS and not isinstance(study, wanted):
        expected, found = _KINDS[wanted]
        raise StudyError(
            f"stage {main.__module__ if main.__module__ != '__main__' else Path(sys.argv[0]).stem}",
            expected=expected,
            found=found,
            remedy="leave this stage out of dvc.yaml",
        )
    return study


def _value(name: str, text: str, study: Study) -> str | int:
    axis: list[Any] = list(study.conditions) if name == "condition" else list(study.runs)
    for value in axis:
        if str(value) == text:
            return value
    raise StudyError(
        f"{name} {text!r}",
        expected=f"one of {', '.join(map(str, axis))}",
        found="no such name in params.yaml",
        remedy=f"choose one of these, or add it to `{name}s`",
    )
