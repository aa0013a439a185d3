"""Fill a cube shard by shard: resumable, with as many workers as there are, published when it is complete."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from protoviz import compute, files
from protoviz.pipeline import executor, resume
from protoviz.store import cube


class Tasks(Protocol):
    """What fills a store: called with an item, it writes the files of one shard."""

    @property
    def items(self) -> Sequence[Any]:
        """One item for every shard."""

    def done(self, item: Any) -> bool:
        """Whether all files of a shard are there."""

    def __call__(self, item: Any) -> None:
        """Make one shard and write it."""


def write(
    out: str | Path,
    template: cube.Template,
    attributes: Mapping[str, Any],
    tasks: Callable[[Path], Tasks],
    *,
    title: str,
    device: str,
    threads: int,
) -> None:
    """Lay out an empty cube, have its shards filled, and make it the output when all of them are there.

    What an interrupted run of the same stage has finished is kept (see resume.py).

    Args:
        out: the output, relative to the top of the repository.
        template: the extent of the cube.
        attributes: what it is made with, JSON values; a change of them is a change of the result.
        tasks: gives the tasks that fill the store at an absolute path.
        title: name of the tasks in the plural, for progress.
        device: of each worker, as in params.yaml.
        threads: likewise.

    Raises:
        StudyError: the disk is too small, another process is at work on the stage, or a task failed.
    """
    with resume.pieces(out, attributes) as folder:
        store = folder / "store"
        if not store.is_dir():
            with files.complete(store) as partial:
                cube.create(partial, template, attributes)
        shards = tasks(store)
        left = sum(not shards.done(item) for item in shards.items)
        files.require_space(folder, template.nbytes * left // len(shards.items))
        executor.run(
            shards, shards.items, title=title, done=shards.done, slots=compute.slots(device, threads)
        )
        cube.finish(store)
        resume.publish(store, out)
