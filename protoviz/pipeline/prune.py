"""Remove outputs that no stage makes any more, after a condition or a run was removed from params.yaml.

DVC leaves them where they are, and a stage that depends on a whole folder would still include them.
"""

from pathlib import Path
from typing import Any

from protoviz import digests, files
from protoviz.errors import StudyError
from protoviz.pipeline import dvc_lock, dvc_storage
from protoviz.pipeline.dvc_lock import Output
from protoviz.pipeline.dvc_storage import DvcStorage


def remove() -> list[str]:
    """Remove them and their entries in dvc.lock; return their paths.

    Only what can be restored is removed: what is in DVC's cache, or what, like metrics, is outside of it and
    unchanged since the stage wrote it.

    Raises:
        StudyError: something among the outputs cannot be restored.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    if not Path("dvc.yaml").is_file() or not Path(dvc_lock.LOCK_FILE).is_file():
        return []
    recorded = dvc_lock.read()
    try:
        with Repo() as repo:
            outs = [out for out in repo.index.outs if out.is_in_repo]
            owned = {_inside(out): out.stage.addressing for out in outs}
            stages = {stage.addressing for stage in repo.index.stages}
    except DvcException:  # running the pipeline will report what is wrong with it
        return []
    former = {path: out for path, out in recorded.outputs.items() if out.stage not in stages}
    strays = sorted({*former, *_strays(owned)} - set(owned))
    present = [path for path in strays if Path(path).exists()]
    where = dvc_storage.find() if present else None
    for path in present:
        if not _can_be_had_again(path, former.get(path), where):
            raise StudyError(
                path,
                expected="nothing: no stage makes it, and its folder is an input of others",
                found="an output that is in no cache",
                remedy="move it elsewhere, or remove it",
            )
    for path in present:
        files.remove(Path(path))
    if not set(recorded.stages) <= stages:
        dvc_lock.keep(stages)
    return present


def _strays(owned: dict[str, str]) -> set[str]:
    """What lies beside the outputs of single networks, and neither is an output nor holds one."""
    folders = {Path(path).parent for path, stage in owned.items() if "@" in stage and Path(path).parts[1:-1]}
    holders = {str(parent) for path in owned for parent in Path(path).parents}
    found = {
        str(entry)
        for folder in folders
        if folder.is_dir()
        for entry in folder.iterdir()
        if entry.name[0] != "."
    }
    return found - holders


def _can_be_had_again(path: str, former: Output | None, where: DvcStorage | None) -> bool:
    digest = digests.of(path)
    if former is not None and former.digest == digest:
        return True
    return where is not None and Path(dvc_lock.object_path(str(where.cache), digest)).is_file()


def _inside(out: Any) -> str:
    """The path of an output relative to the top of the repository."""
    return str(Path(out.fspath).relative_to(out.repo.root_dir))
