"""A folder of the user's own images, one sub-folder for each class, in any size and common format."""

import os
import struct
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from protoviz import progress, seeding
from protoviz.data.base import BLOCK, Indices, Pixels, Source, square
from protoviz.data.stl10 import process_pool
from protoviz.errors import StudyError, said

SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("avif", "bmp", "dib", "gif", "ico", "j2k", "jfif", "jp2", "jpe", "jpeg", "jpg", "pbm", "pgm"),
        *("png", "pnm", "ppm", "tga", "tif", "tiff", "webp"),
    )
)
SMALLEST_SIDE = 8  # px; less is a placeholder or a tracking pixel, not a picture
TEST_SHARE = 0.2  # where the folder has no split of its own
BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, Image.DecompressionBombError)


class PictureError(Exception):
    """A file that is not a usable image: its path, what was expected, what was found."""


@dataclass(frozen=True)
class FilePictures:
    """Images in files."""

    paths: list[Path]

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, indices: Indices, size: int) -> Iterator[Pixels]:
        """See `Pictures`. Files are read in processes on all cores."""
        blocks = [
            [self.paths[index] for index in indices[start : start + BLOCK]]
            for start in range(0, len(indices), BLOCK)
        ]
        with process_pool(len(blocks)) as pool:
            try:
                read = pool.map(read_block, blocks, [size] * len(blocks))
                yield from progress.track(read, f"blocks of {BLOCK} images", len(blocks))
            except PictureError as error:
                pool.shutdown(cancel_futures=True)
                path, expected, found = error.args
                raise StudyError(
                    path,
                    expected=expected,
                    found=found,
                    remedy="replace the file or take it out of the folder",
                ) from error


def read(path: str, seed: int) -> Source:
    """Find the images of a folder: `<class>/*`, or `train/<class>/*` and `test/<class>/*`.

    Without a split of its own, a fifth of each class, chosen by `seed`, is for testing.

    Raises:
        StudyError: there is no such folder, it has fewer than two classes, a class is without images or
            too small to divide, or train and test have different classes.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise _unusable(root, "a folder with one sub-folder for each class", "no such folder")
    if all((root / part).is_dir() for part in ("train", "test")):
        train, test = _classes(root / "train"), _classes(root / "test")
        if list(train) != list(test):
            only = sorted(set(train) ^ set(test))[0]
            raise _unusable(root, "the same classes in train and test", f"{only!r} in one of them only")
    else:
        train, test = _split(root, _classes(root), seed)
    train_paths, train_labels = _flat(train)
    test_paths, test_labels = _flat(test)
    pictures = FilePictures(train_paths)
    return Source(list(train), pictures, pictures, train_labels, FilePictures(test_paths), test_labels, True)


def read_block(paths: list[Path], size: int) -> Pixels:
    """Read image files, uint8 (len(paths), size, size, 3).

    Raises:
        PictureError: one of them cannot be used.
    """
    return np.stack([read_file(path, size) for path in paths])


def read_file(path: Path, size: int) -> Pixels:
    """One image file as RGB, upright, its largest centred square resized, uint8 (size, size, 3).

    The first frame of an animation is taken; transparent pixels become white.

    Raises:
        PictureError: the file cannot be read, has a side of less than 8 px, or has neither 8 nor 16 bits.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd metadata, and large photographs
            with Image.open(path) as image:
                if min(image.size) < SMALLEST_SIDE:
                    width, height = image.size
                    raise PictureError(
                        str(path), f"an image of at least {SMALLEST_SIDE} px", f"{width} x {height} px"
                    )
                image.draft(None, (2 * size, 2 * size))  # a large JPEG is decoded at half, a quarter, ...
                return square(_rgb(ImageOps.exif_transpose(image), path), size)
    except BROKEN as error:
        raise PictureError(str(path), "an image file that can be read", _reason(path, error)) from error


def _rgb(image: Image.Image, path: Path) -> Image.Image:
    if image.mode.startswith("I"):  # grey of 16 bit
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise PictureError(str(path), "an image of 8 or 16 bit", "grey values of 32 bit")
        image = Image.fromarray((values.astype(np.int64) // 257).astype(np.uint8))
    elif image.mode == "F":
        raise PictureError(str(path), "an image of 8 or 16 bit", "grey values as floating-point numbers")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    if path.stat().st_size == 0:
        return "an empty file"
    return said(error, omit=f" {str(path)!r}")


def _classes(folder: Path) -> dict[str, list[Path]]:
    """The image files of each class, both in alphabetical order."""
    names = sorted(
        entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )
    if len(names) < 2:
        found = f"one, {names[0]!r}" if names else "none"
        raise _unusable(folder, "at least two sub-folders, one for each class", found)
    return {name: image_files(folder / name) for name in names}


def image_files(folder: Path) -> list[Path]:
    """The image files of a folder and of the folders in it, in alphabetical order.

    Raises:
        StudyError: there are none.
    """
    files = sorted(
        Path(place, name) for place, _, names in os.walk(folder) for name in names if not name.startswith(".")
    )
    images = [file for file in files if file.suffix.lower() in SUFFIXES]
    if not images:
        found = f"{len(files)} files, none of them an image" if files else "an empty folder"
        raise _unusable(folder, "the images of a class", found)
    if len(images) < len(files):
        other = next(file for file in files if file.suffix.lower() not in SUFFIXES)
        print(
            f"{folder}: {len(files) - len(images)} files that are no images left out ({other.name})",
            file=sys.stderr,
        )
    return images


def _split(
    root: Path, classes: dict[str, list[Path]], seed: int
) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
    train, test = {}, {}
    for name, paths in classes.items():
        if len(paths) < 2:
            raise _unusable(root / name, "at least two images, one to train and one to test", "one")
        testing = max(1, round(TEST_SHARE * len(paths)))
        chosen = set(seeding.generator("split", seed, name).permutation(len(paths))[:testing].tolist())
        train[name] = [path for index, path in enumerate(paths) if index not in chosen]
        test[name] = [path for index, path in enumerate(paths) if index in chosen]
    return train, test


def _flat(classes: dict[str, list[Path]]) -> tuple[list[Path], Indices]:
    paths = [path for paths in classes.values() for path in paths]
    labels = np.repeat(np.arange(len(classes)), [len(paths) for paths in classes.values()])
    return paths, labels.astype(np.int64)


def _unusable(path: Path, expected: str, found: str) -> StudyError:
    return StudyError(
        str(path),
        expected=expected,
        found=found,
        remedy="arrange the images as <class>/* or train/<class>/* and test/<class>/*, or correct the path",
    )
