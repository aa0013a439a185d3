"""Publish the outputs of the study to DVC's default remote, and count what that costs in bytes.

The default remote is a folder of the repository. Git keeps every publication for ever, so it has a limit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protoviz import layout
from protoviz.errors import StudyError, rerun
from protoviz.pipeline import dvc_lock, dvc_storage, fetching, verify

LIMIT = 60.0  # MB, of the folder in the repository


@dataclass(frozen=True)
class Share:
    """What one output adds to a publication.

    Attributes:
        path: of the output.
        nbytes: of all its files.
        added: of those files that no earlier output has.
    """

    path: str
    nbytes: int
    added: int


def publish(
    limit: float | None = None, dry_run: bool = False, only: Sequence[str] | None = None
) -> list[Share]:
    """Check outputs and push them to the default remote; return what each of them costs.

    Args:
        limit: how many MB a remote in the repository may hold at most; `LIMIT` by default.
        dry_run: only check and count.
        only: paths of the outputs to push; by default all.

    Raises:
        StudyError: the study is not up to date or has no such output, a store is damaged, the limit is
            exceeded, or the remote does not exist or is not writable.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    recorded, where = dvc_lock.read(), dvc_storage.find()
    try:
        with Repo() as repo:
            if repo.status():
                raise StudyError(
                    "the study",
                    expected="results that are up to date",
                    found="stages that have to run",
                    remedy=f"run `{rerun()}`, then publish",
                )
            pushed = _chosen(
                [
                    str(Path(out.fspath).relative_to(repo.root_dir))
                    for out in repo.index.outs
                    if out.use_cache and out.can_push and out.is_in_repo
                ],
                only,
            )
            sizes, shares = _count([recorded.outputs[path] for path in pushed], where)
            inside = where.remote is not None and where.remote.is_relative_to(repo.root_dir)
            if inside:
                _require_limit(where.remote or Path(), sizes, shares, LIMIT if limit is None else limit)
            for path in pushed:
                for problem in verify.output_problems(recorded.outputs[path], recorded, where):
                    raise StudyError(
                        path, expected="no damage", found=str(problem), remedy="run `protoviz verify`"
                    )
            if not dry_run:
                _push(repo, pushed)
                if not inside:
                    _leave_lock(repo.cloud.get_remote_odb())
    except (DvcException, *fetching.failures()) as error:
        raise StudyError.of(
            error,
            "the default remote of DVC",
            expected="one that can be written to",
            remedy="correct .dvc/config (`dvc remote modify`), or the credentials",
        ) from error
    return shares


def _chosen(outputs: list[str], only: Sequence[str] | None) -> list[str]:
    """The outputs that are asked for, in the order of the pipeline.

    Raises:
        StudyError: one of them is not an output that can be pushed.
    """
    if only is None:
        return outputs
    asked = [str(Path(path)) for path in only]
    if strange := [path for path in asked if path not in outputs]:
        raise StudyError(
            strange[0],
            expected="an output of a stage that DVC keeps",
            found="none of this path",
            remedy="`protoviz publish --dry-run` names all",
        )
    return [path for path in outputs if path in asked]


def _push(repo: Any, outputs: list[str]) -> None:
    """Push outputs, and check that all of them have arrived.

    Raises:
        StudyError: some have not.
    """
    repo.push(targets=outputs)
    missing = repo.status(targets=outputs, cloud=True)
    if missing:
        raise StudyError(
            "the remote",
            expected="all that was pushed",
            found=f"without {', '.join(missing)}",
            remedy="publish again",
        )


def _leave_lock(objects: Any) -> None:
    """Put dvc.lock beside a remote that is called `published`, so that its folder is read like a repository.

    Args:
        objects: DVC's object database of the remote.
    """
    system = objects.fs
    remote = system.parent(system.parent(objects.path))
    if system.name(remote) == layout.PUBLISHED.name:
        system.put_file(dvc_lock.LOCK_FILE, system.join(system.parent(remote), dvc_lock.LOCK_FILE))


def _count(
    outputs: list[dvc_lock.Output], where: dvc_storage.DvcStorage
) -> tuple[dict[str, int], list[Share]]:
    """Digest -> bytes of every object to be published, and the share of each output, in order."""
    sizes: dict[str, int] = {}
    shares = []
    for output in outputs:
        digests = {output.digest, *(where.listing(output) or {}).values()}
        own = {
            digest: Path(dvc_lock.object_path(str(where.cache), digest)).stat().st_size for digest in digests
        }
        shares.append(Share(output.path, sum(own.values()), sum(own[d] for d in own if d not in sizes)))
        sizes |= own
    return sizes, shares


def _require_limit(remote: Path, sizes: Mapping[str, int], shares: list[Share], limit: float) -> None:
    """Check the size of what the folder will hold: what is there already and what is new.

    Raises:
        StudyError: it exceeds the limit; the message names the largest outputs and what is there of older
            publications.
    """
    present = {
        file.parent.name + file.name: file.stat().st_size
        for file in remote.glob("files/md5/*/*")
        if file.is_file()
    }
    older = sum(size for digest, size in present.items() if digest not in sizes)
    total = (older + sum(sizes.values())) / 1e6
    if total > limit:
        greatest = sorted(shares, key=lambda share: -share.added)[:3]
        named = ", ".join(f"{share.path} {share.added / 1e6:.1f}" for share in greatest)
        former = f" and {older / 1e6:.1f} of older publications" if older else ""
        drop = "; `dvc gc --workspace --cloud` drops what is older" if older else ""
        raise StudyError(
            str(remote.name),
            expected=f"at most {limit:g} MB in the repository",
            found=f"{total:.1f} ({named}{former})",
            remedy=f"make images.size, train.keep or backbone.width smaller, or publish elsewhere{drop}",
        )
