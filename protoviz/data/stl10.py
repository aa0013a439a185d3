"""STL-10's binary layout: the procedural set is written in it, and torchvision reads both sets.

Coates, Ng & Lee (2011), https://cs.stanford.edu/~acoates/stl10/. Each image is 3 x 96 x 96 bytes:
the red plane, then green, then blue, each in column-major order. Labels are bytes from 1 to 10.
"""

import multiprocessing
import signal
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from protoviz import progress, seeding
from protoviz.data import procedural
from protoviz.data.base import ArrayPictures, Indices, Pixels, Source
from protoviz.errors import StudyError
from protoviz.machine import cores

FOLDER = "stl10_binary"
IMAGE_BYTES = 3 * 96 * 96
COUNTS = {"unlabeled": 100_000, "train": 5_000, "test": 8_000}  # of the real STL-10
FOLDS, FOLD_SHARE = 10, 5  # ten random fifths of the training images, for the protocol of the paper

RENDERED_AT_ONCE = 200


def write_procedural(root: Path, seed: int, counts: Mapping[str, int]) -> None:
    """Render the procedural set into `root`/stl10_binary, on all cores.

    Args:
        root: an existing folder.
        seed: of the images.
        counts: number of "unlabeled", "train" and "test" images.
    """
    folder = root / FOLDER
    folder.mkdir()
    parts = [
        (split, seed, min(RENDERED_AT_ONCE, counts[split] - start), start)
        for split in COUNTS
        for start in range(0, counts[split], RENDERED_AT_ONCE)
    ]
    with process_pool(len(parts)) as pool:
        rendered = pool.map(_render, *zip(*parts, strict=True))
        for (split, *_), (images, labels) in zip(
            parts, progress.track(rendered, f"blocks of {RENDERED_AT_ONCE} images", len(parts)), strict=True
        ):
            with open(folder / f"{split}_X.bin", "ab") as file:
                file.write(images.transpose(0, 3, 2, 1).tobytes())
            if split != "unlabeled":
                with open(folder / f"{split}_y.bin", "ab") as file:
                    file.write((labels + 1).astype(np.uint8).tobytes())
    (folder / "class_names.txt").write_text("".join(f"{name}\n" for name in procedural.CLASSES))
    (folder / "fold_indices.txt").write_text(_folds(seed, counts["train"]))


def read(root: Path, counts: Mapping[str, int], genuine: bool) -> Source:
    """Read a data set in STL-10's layout through torchvision.

    Args:
        root: the folder that holds `stl10_binary`.
        counts: number of "unlabeled", "train" and "test" images that must be there.
        genuine: whether it is the real STL-10, whose MD5 sums torchvision knows.

    Raises:
        StudyError: a file is missing, truncated, of the wrong size, damaged, or holds unknown labels.
    """
    folder = root / FOLDER
    for split, count in counts.items():
        _require_size(folder / f"{split}_X.bin", count, IMAGE_BYTES, "96 x 96 px", genuine)
        if split != "unlabeled":
            _require_size(folder / f"{split}_y.bin", count, 1, "one byte each", genuine)
    if not (folder / "class_names.txt").is_file():
        raise _wrong(folder / "class_names.txt", "the names of the classes", "no such file", genuine)

    from torchvision.datasets import STL10

    class KnownFiles(STL10):  # type: ignore[misc]
        """Files made or verified already: torchvision checks that they exist, not their MD5 sums."""

        train_list: ClassVar = [[name, None] for name, _ in STL10.train_list]
        test_list: ClassVar = [[name, None] for name, _ in STL10.test_list]

    if genuine:
        _verify(folder, [*STL10.train_list, *STL10.test_list])
    unlabeled, train, test = (KnownFiles(str(root), split) for split in COUNTS)
    names = list(train.classes)
    return Source(
        classes=names,
        pool=_pictures(unlabeled),
        train=_pictures(train),
        train_labels=_labels(train, folder / "train_y.bin", len(names), genuine),
        test=_pictures(test),
        test_labels=_labels(test, folder / "test_y.bin", len(names), genuine),
        pool_is_train=False,
    )


def find(path: str) -> Path:
    """The folder that holds `stl10_binary`, given that folder or `stl10_binary` itself."""
    given = Path(path).expanduser()
    return given.parent if given.name == FOLDER else given


def process_pool(tasks: int) -> ProcessPoolExecutor:
    """A pool of fresh processes on all cores that leaves Ctrl-C to its parent."""
    return ProcessPoolExecutor(
        max(1, min(cores(), tasks)),
        mp_context=multiprocessing.get_context("spawn"),  # a forked copy of a process with threads can hang
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_IGN),
    )


def _render(split: str, seed: int, count: int, start: int) -> tuple[Pixels, Indices]:
    return procedural.render(split, seed, count, start)


def _folds(seed: int, train: int) -> str:
    rng = seeding.generator("folds", seed)
    folds = [np.sort(rng.permutation(train)[: train // FOLD_SHARE]) for _ in range(FOLDS)]
    return "".join(" ".join(map(str, fold)) + "\n" for fold in folds)


def _require_size(path: Path, count: int, each: int, what: str, genuine: bool) -> None:
    expected = f"{count * each:,} bytes ({count:,} of {what})"
    if not path.is_file():
        raise _wrong(path, expected, "no such file", genuine)
    if path.stat().st_size != count * each:
        raise _wrong(path, expected, f"{path.stat().st_size:,} bytes", genuine)


def _verify(folder: Path, digests: list[list[str]]) -> None:
    from torchvision.datasets.utils import calculate_md5

    for name, digest in progress.track(digests, "files verified"):
        found = calculate_md5(str(folder / name))
        if found != digest:
            raise _wrong(folder / name, f"the file with MD5 {digest}", f"MD5 {found}", genuine=True)


def _pictures(dataset: Any) -> ArrayPictures:
    return ArrayPictures(dataset.data.transpose(0, 2, 3, 1))  # (N, 3, y, x) -> (N, y, x, 3), not copied


def _labels(dataset: Any, path: Path, classes: int, genuine: bool) -> Indices:
    labels = np.asarray(dataset.labels, np.int64)
    outside = labels[labels >= classes]  # torchvision's subtraction of 1 wraps 0 to 255
    if len(outside):
        found = int(outside[0] + 1) % 256
        raise _wrong(path, f"labels from 1 to {classes}", f"a label {found}", genuine)
    return labels


def _wrong(path: Path, expected: str, found: str, genuine: bool) -> StudyError:
    remedy = (
        "unpack stl10_binary.tar.gz there again; images.path in params.yaml names the folder above"
        if genuine
        else "run the stage `dataset` again"
    )
    return StudyError(str(path), expected=expected, found=found, remedy=remedy)
