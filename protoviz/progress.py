"""Progress of a long loop with the time left: a bar on a terminal or in a notebook, lines elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from importlib.util import find_spec
from typing import TypeVar

import tqdm

T = TypeVar("T")

SECONDS_BETWEEN_LINES = 10.0


def track(items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """Yield the items of a loop, and show its progress and the time left.

    Args:
        items: what the loop goes through.
        what: the unit of work in the plural ("prototypes", "epochs").
        total: the number of items, if `items` has no length.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    notebook = _in_notebook()
    if notebook and find_spec("ipywidgets"):
        from tqdm.notebook import tqdm as widget

        yield from widget(items, desc=what, total=total)
        return
    if notebook or sys.stderr.isatty():
        yield from tqdm.tqdm(items, desc=what, total=total)
        return
    start = last = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if total and done < total and now - last > SECONDS_BETWEEN_LINES:
            last = now
            left = (now - start) / done * (total - done)
            print(f"{what}: {done} of {total}, {left:.0f} s left", file=sys.stderr, flush=True)
    print(f"{what}: done in {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)


def _in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    loaded = sys.modules.get("IPython")
    shell = loaded.get_ipython() if loaded and hasattr(loaded, "get_ipython") else None
    return shell is not None and "IPKernelApp" in shell.config
