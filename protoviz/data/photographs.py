"""Photographs without classes: the images of a folder, however nested, or of a tar file."""

import tarfile
import tempfile
from pathlib import Path

import numpy as np

from protoviz.data import folder
from protoviz.data.base import Pixels
from protoviz.errors import StudyError


def read(source: str | Path, size: int) -> Pixels:
    """All images, in alphabetical order of their paths: of each the largest centred square, resized.

    Args:
        source: a folder or a tar file, compressed or not.
        size: px.

    Returns:
        uint8 (N, size, size, 3).

    Raises:
        StudyError: there is no such folder or tar file, it has no images, or one of them cannot be read.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        return _of_folder(path, size)
    if not path.is_file():
        raise _unusable(path, "no such folder or file")
    with tempfile.TemporaryDirectory() as unpacked:
        try:
            with tarfile.open(path) as archive:
                archive.extractall(unpacked, filter="data")
        except (tarfile.TarError, EOFError, OSError) as error:
            raise StudyError.of(error, str(path), expected=_EXPECTED, remedy=_REMEDY) from error
        return _of_folder(Path(unpacked), size)


_EXPECTED, _REMEDY = "a folder of photographs, or a tar file of one", "correct the path"


def _of_folder(path: Path, size: int) -> Pixels:
    pictures = folder.FilePictures(folder.image_files(path))
    return np.concatenate(list(pictures.read(np.arange(len(pictures)), size)))


def _unusable(path: Path, found: str) -> StudyError:
    return StudyError(str(path), expected=_EXPECTED, found=found, remedy=_REMEDY)
