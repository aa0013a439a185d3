"""The images of a study: chosen from their source, resized to one size, and read back.

`unlabeled` is what the analysed networks learn from, `reference` is set aside for the reference encoder and
the generator, and `train` and `test` are the labelled images of the probe. No image of `reference` is in
another split. Where a source has no unlabelled images of its own (CIFAR-10, a folder), they are its training
images without labels, as is usual.

DVC does not keep the pixels (.dvcignore names them), since it would store and publish them all: it keeps the
parameters they were made from, and their digests. If they are missing, as in a fresh clone, or are those of
another revision, they are made again when they are needed.
"""

import fcntl
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from protoviz import files, seeding
from protoviz.config import params
from protoviz.data import cifar10, folder, microbes, stl10
from protoviz.data.base import Indices, Pictures, Pixels, Source
from protoviz.errors import StudyError

Unlabelled = Literal["unlabeled", "reference"]
Labelled = Literal["train", "test"]

CLASSES = "classes.json"
RECORD = "images.json"  # what the pixels were made from, and their digests; kept by DVC
PRESENT = "present.json"  # the record of the pixels that are there; not kept


@dataclass(frozen=True)
class ImageSet:
    """One split.

    Attributes:
        images: uint8 (N, size, size, 3), mapped from the disk, not loaded.
        labels: int64 (N,), or None where there are none.
    """

    images: Pixels
    labels: Indices | None


@dataclass(frozen=True)
class LabelledSet(ImageSet):
    """A split with labels."""

    labels: Indices


def make(directory: str | Path, images: params.Images) -> None:
    """Write the four splits and the names of the classes to `directory`, all of them or nothing.

    Raises:
        StudyError: the source cannot be read, has too few images, or the disk is too small.
    """
    with files.complete(directory) as partial:
        partial.mkdir()
        if images.source == "procedural":
            counts = _procedural_counts(images)
            files.require_space(directory, sum(counts.values()) * (stl10.IMAGE_BYTES + 3 * images.size**2))
            stl10.write_procedural(partial, images.seed, counts)
            source = stl10.read(partial, counts, genuine=False)
        else:
            source = _open(images)
        chosen = choose(source, images)
        files.require_space(directory, sum(len(indices) for indices in chosen.values()) * 3 * images.size**2)
        pictures = {
            "unlabeled": source.pool,
            "reference": source.pool,
            "train": source.train,
            "test": source.test,
        }
        for split, indices in chosen.items():
            _write(partial / f"{split}.npy", pictures[split], indices, images.size)
        np.save(partial / "train_labels.npy", source.train_labels[chosen["train"]])
        np.save(partial / "test_labels.npy", source.test_labels[chosen["test"]])
        files.write_json(partial / CLASSES, source.classes)
        digests = {path.name: files.sha256(path) for path in sorted(partial.glob("*.npy"))}
        files.write_json(partial / RECORD, {"images": images.model_dump(mode="json"), "sha256": digests})
        shutil.copyfile(partial / RECORD, partial / PRESENT)


@overload
def load(directory: str | Path, split: Labelled) -> LabelledSet: ...
@overload
def load(directory: str | Path, split: Unlabelled) -> ImageSet: ...
def load(directory: str | Path, split: Labelled | Unlabelled) -> ImageSet:
    """Open one split; if its pixels are missing, they are made again first.

    Raises:
        StudyError: it is missing or damaged, or the images at the source have changed.
    """
    _require_pixels(Path(directory))
    images = _open_array(Path(directory) / f"{split}.npy", mapped=True)
    if split in ("train", "test"):
        return LabelledSet(images, _open_array(Path(directory) / f"{split}_labels.npy", mapped=False))
    return ImageSet(images, None)


def classes(directory: str | Path) -> list[str]:
    """The names of the classes, in the order of the labels."""
    return list(files.read_json(Path(directory) / CLASSES))


def _require_pixels(directory: Path) -> None:
    """Make the pixels again, once, if they are not those of the record."""
    if not (directory / RECORD).is_file() or _are_present(directory):
        return
    with open(directory.with_name(f".{directory.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # stages side by side need them at the same time
        if _are_present(directory):
            return
        print(f"{directory}: the pixels are not here; making them again", flush=True)
        settings = params.Images.model_validate(files.read_json(directory / RECORD)["images"])
        again = directory.with_name(f".{directory.name}.again")
        try:
            make(again, settings)
            if (again / RECORD).read_bytes() != (directory / RECORD).read_bytes():
                raise StudyError(
                    str(directory / RECORD),
                    expected="the images that the study was made of",
                    found=f"others at {settings.path}" if settings.path else "others on this machine",
                    remedy="put them back, or run `dvc repro --force dataset && make repro`",
                )
            files.revoke(directory / PRESENT)  # it may describe pixels of another revision, which go now
            for path in sorted(again.iterdir(), key=lambda path: path.name == PRESENT):
                if path.name not in (CLASSES, RECORD):
                    files.settle(path, directory / path.name)
        finally:
            files.remove(again)


def _are_present(directory: Path) -> bool:
    present = directory / PRESENT
    return present.is_file() and present.read_bytes() == (directory / RECORD).read_bytes()


def choose(source: Source, images: params.Images) -> dict[str, Indices]:
    """Which images of a source go into which split, in the order of the source.

    `unlabeled` and `reference` divide a random permutation of the pool. A limited number of labelled
    images is drawn so that each class keeps its share.

    Raises:
        StudyError: there are fewer images than asked for.
    """
    pool = len(source.pool)
    unlabeled = pool - images.reference if images.unlabeled is None else images.unlabeled
    if unlabeled < 1 or images.reference + unlabeled > pool:
        asked = f"{images.reference:,} (images.reference) and {max(unlabeled, 1):,} (images.unlabeled)"
        raise _too_few(images, f"{asked} images to learn from", f"{pool:,}")
    order = seeding.generator("pool", images.seed).permutation(pool)
    reference, rest = order[: images.reference], order[images.reference :]
    train = np.arange(len(source.train))
    if source.pool_is_train:
        train = np.setdiff1d(train, reference)
    return {
        "unlabeled": np.sort(rest[:unlabeled]),
        "reference": np.sort(reference),
        "train": _stratified(source, source.train_labels, train, "train", images),
        "test": _stratified(source, source.test_labels, np.arange(len(source.test)), "test", images),
    }


def _open(images: params.Images) -> Source:
    path = str(images.path)
    if images.source == "stl10":
        return stl10.read(stl10.find(path), stl10.COUNTS, genuine=True)
    if images.source == "cifar10":
        return cifar10.read(path)
    if images.source == "microbes":
        return microbes.read(images.seed, images.train or 0, images.test or 0)
    return folder.read(path, images.seed)


def _procedural_counts(images: params.Images) -> dict[str, int]:
    # params.Images has made sure that none of them is null
    return {
        "unlabeled": (images.unlabeled or 0) + images.reference,
        "train": images.train or 0,
        "test": images.test or 0,
    }


def _stratified(
    source: Source,
    labels: Indices,
    candidates: Indices,
    split: Literal["train", "test"],
    images: params.Images,
) -> Indices:
    """The first of every class, then the second of every class, ..., each in proportion to its size."""
    count = len(candidates) if getattr(images, split) is None else int(getattr(images, split))
    present = len(np.unique(labels[candidates]))
    if present < len(source.classes):
        expected = f"images of all {len(source.classes)} classes in {split}"
        raise _too_few(
            images, expected, f"{present} after {images.reference:,} were set aside as images.reference"
        )
    if not len(source.classes) <= count <= len(candidates):
        expected = f"{count:,} images (images.{split}), at least one of each of {len(source.classes)} classes"
        raise _too_few(images, expected, f"{len(candidates):,}")
    shuffled = seeding.generator(split, images.seed).permutation(candidates)
    place = np.empty(len(shuffled))
    for label in range(len(source.classes)):
        members = np.flatnonzero(labels[shuffled] == label)
        place[members] = np.arange(len(members)) / len(members)
    return np.sort(shuffled[np.argsort(place, kind="stable")[:count]])


def _write(path: Path, pictures: Pictures, indices: Indices, size: int) -> None:
    """Write an .npy file block by block; unlike a mapped file, a full disk is an error and not a crash."""
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(indices), size, size, 3)}
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for block in pictures.read(indices, size):
            file.write(block.tobytes())


def _open_array(path: Path, mapped: bool) -> Any:
    try:
        return np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except FileNotFoundError as error:
        raise files.missing(path) from error
    except (ValueError, EOFError) as error:
        raise StudyError(
            str(path), expected="a whole .npy file", found=str(error), remedy="run the stage `dataset` again"
        ) from error


def _too_few(images: params.Images, expected: str, found: str) -> StudyError:
    return StudyError(
        f"images.source {images.source}" + (f" in {images.path}" if images.path else ""),
        expected=expected,
        found=found,
        remedy="lower the numbers in params.yaml, or add images",
    )
