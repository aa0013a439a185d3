"""Photographs come from folders and tar files alike, in order, and bad ones are named."""

import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from protoviz.data import photographs
from protoviz.errors import StudyError


@pytest.fixture
def folder(tmp_path):
    """Three images of one colour each, in nested folders, and a file that is no image."""
    place = tmp_path / "mine"
    (place / "b" / "deep").mkdir(parents=True)
    for number, name in enumerate(("a.png", "b/deep/c.png", "b/z.png")):
        Image.new("RGB", (30 + 10 * number, 20), (10 * number, 100, 200)).save(place / name)
    (place / "notes.txt").write_text("not an image")
    return place


def packed(folder, path, mode):
    with tarfile.open(path, mode) as archive:
        archive.add(folder, arcname="photographs")
    return path


def test_a_folder_and_its_tar_give_the_same_images(folder, tmp_path):
    images = photographs.read(folder, 16)
    assert images.shape == (3, 16, 16, 3)
    assert images[:, 0, 0, 0].tolist() == [0, 10, 20]
    for name, mode in (("p.tar", "w"), ("p.tar.gz", "w:gz")):
        np.testing.assert_array_equal(photographs.read(packed(folder, tmp_path / name, mode), 16), images)


def test_an_image_that_cannot_be_read_is_named(folder, tmp_path):
    (folder / "b" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    for source in (folder, packed(folder, tmp_path / "p.tar", "w")):
        with pytest.raises(StudyError, match=r"broken\.jpg: expected an image file that can be read"):
            photographs.read(source, 16)


def test_what_is_no_photographs_is_refused(tmp_path):
    with pytest.raises(StudyError, match=r"none: expected a folder of photographs, or a tar.*no such folder"):
        photographs.read(tmp_path / "none", 16)
    (tmp_path / "text").write_text("no tar file")
    with pytest.raises(StudyError, match=r"text: expected a folder of photographs, or a tar file of one"):
        photographs.read(tmp_path / "text", 16)
    (tmp_path / "empty").mkdir()
    with pytest.raises(StudyError, match="found an empty folder"):
        photographs.read(tmp_path / "empty", 16)


def test_a_tar_that_is_cut_off_or_reaches_out_is_refused(folder, tmp_path):
    whole = packed(folder, tmp_path / "p.tar.gz", "w:gz").read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StudyError, match=r"cut\.tar\.gz: expected a folder of photographs, or a tar"):
        photographs.read(tmp_path / "cut.tar.gz", 16)
    with tarfile.open(tmp_path / "out.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("../escaped.png"), io.BytesIO())
    with pytest.raises(StudyError, match=r"out\.tar: .*outside the destination"):
        photographs.read(tmp_path / "out.tar", 16)
    assert not list(tmp_path.parent.rglob("escaped.png"))
