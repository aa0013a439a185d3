"""Where DVC keeps the objects of this repository: its cache and its default remote."""

from dataclasses import dataclass
from pathlib import Path

from protoviz import digests
from protoviz.errors import StudyError
from protoviz.pipeline import dvc_lock
from protoviz.pipeline.dvc_lock import Output


@dataclass(frozen=True)
class DvcStorage:
    """Where the objects of DVC lie on this machine or elsewhere.

    Attributes:
        cache: the folder of the cache.
        remote: the default remote as a folder, or None: it is elsewhere, or there is none.
        elsewhere: whether there is a default remote that is not a folder of this machine.
    """

    cache: Path
    remote: Path | None
    elsewhere: bool

    def holds(self, root: Path, digest: str) -> bool:
        """Whether an object is there and undamaged."""
        path = Path(dvc_lock.object_path(str(root), digest))
        return path.is_file() and digests.of_file(path) == digest.removesuffix(digests.FOLDER)

    def listing(self, output: Output) -> dict[str, str] | None:
        """Path -> MD5 of the files of an output, from wherever it is recorded; None if it is nowhere."""
        if not output.digest.endswith(digests.FOLDER):
            return {"": output.digest}
        for root in filter(None, (self.cache, self.remote)):
            if self.holds(root, output.digest):
                return digests.listed(Path(dvc_lock.object_path(str(root), output.digest)).read_bytes())
        return None


def find() -> DvcStorage:
    """Ask DVC where it keeps its objects.

    Raises:
        StudyError: this is not a DVC repository.
    """
    from dvc.config import NoRemoteError
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            cache = Path(repo.cache.local.path)
            try:
                remote = repo.cloud.get_remote_odb()
            except NoRemoteError:
                return DvcStorage(cache.parents[1], None, elsewhere=False)
            local = remote.fs.protocol == "local"
            return DvcStorage(
                cache.parents[1], Path(remote.path).parents[1] if local else None, elsewhere=not local
            )
    except DvcException as error:
        raise StudyError.of(
            error,
            str(Path.cwd()),
            expected="the top of the repository, with .dvc",
            remedy="change to it and run again",
        ) from error
