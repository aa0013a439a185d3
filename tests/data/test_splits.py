"""The image sources in their true formats, and what is chosen from them."""

import hashlib
import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from protoviz import files
from protoviz.config.params import Images
from protoviz.data import folder, procedural, splits, stl10
from protoviz.data.base import ArrayPictures, Source
from protoviz.errors import StudyError

SIZE = 32
OWN = {"source": "folder", "path": "own"}


def settings(**changes: Any) -> Images:
    values: dict[str, Any] = {
        "source": "procedural",
        "path": None,
        "size": SIZE,
        "seed": 0,
        "unlabeled": 20,
        "reference": 10,
        "train": 20,
        "test": 10,
    }
    return Images(**{**values, **changes})


def everything(directory: Path) -> dict[str, npt.NDArray[np.uint8]]:
    return {
        split: np.array(splits.load(directory, split).images)
        for split in ("unlabeled", "reference", "train", "test")
    }


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


# --- the procedural set ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("procedural") / "images"
    splits.make(directory, settings())
    return directory


def test_the_procedural_set_has_the_layout_of_stl10(made: Path) -> None:
    binary = made / "stl10_binary"
    assert (binary / "unlabeled_X.bin").stat().st_size == 30 * 3 * 96 * 96
    assert (binary / "train_X.bin").stat().st_size == 20 * 3 * 96 * 96
    assert (binary / "class_names.txt").read_text().splitlines() == list(procedural.CLASSES)
    labels = np.fromfile(binary / "train_y.bin", np.uint8)
    assert (labels.min(), labels.max()) == (1, 10)
    folds = [line.split() for line in (binary / "fold_indices.txt").read_text().splitlines()]
    assert [len(set(fold)) for fold in folds] == [4] * 10
    image = procedural.render("train", 0, 1, start=3)[0][0]
    red = np.fromfile(binary / "train_X.bin", np.uint8).reshape(20, 3, 96, 96)[3, 0]
    assert np.array_equal(red, image[:, :, 0].T)  # column by column


def test_at_full_size_the_images_are_those_rendered(tmp_path: Path) -> None:
    splits.make(tmp_path / "images", settings(size=96))
    test = splits.load(tmp_path / "images", "test")
    images, labels = procedural.render("test", 0, 10)
    assert np.array_equal(test.images, images)
    assert test.labels is not None
    assert np.array_equal(test.labels, labels)
    pool = procedural.render("unlabeled", 0, 30)[0]
    chosen = everything(tmp_path / "images")
    divided = np.concatenate([chosen["unlabeled"], chosen["reference"]])
    assert sorted(image.tobytes() for image in divided) == sorted(image.tobytes() for image in pool)


def test_what_is_made_is_read_back(made: Path) -> None:
    assert splits.classes(made) == list(procedural.CLASSES)
    for split, count in {"unlabeled": 20, "reference": 10, "train": 20, "test": 10}.items():
        found = splits.load(made, split)
        assert found.images.shape == (count, SIZE, SIZE, 3)
        assert found.images.dtype == np.uint8
        assert isinstance(found.images, np.memmap)
        assert (found.labels is None) == (split in ("unlabeled", "reference"))
    labels = splits.load(made, "train").labels
    assert labels is not None
    assert labels.dtype == np.int64
    assert np.array_equal(np.bincount(labels), [2] * 10)


def test_it_is_made_the_same_again_and_differently_with_another_seed(made: Path, tmp_path: Path) -> None:
    splits.make(tmp_path / "again", settings())
    for path in sorted(made.rglob("*.*")):
        assert md5(path) == md5(tmp_path / "again" / path.relative_to(made)), path
    splits.make(tmp_path / "other", settings(seed=1))
    assert not np.array_equal(everything(made)["test"], everything(tmp_path / "other")["test"])


PIXELS = ("*.npy", "stl10_binary", "present.json")  # what .dvcignore names


def test_pixels_that_are_not_there_are_made_again(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after `dvc pull` in a fresh clone, which brings the record alone."""
    clone = shutil.copytree(made, tmp_path / "images", ignore=shutil.ignore_patterns(*PIXELS))
    assert sorted(path.name for path in clone.iterdir()) == ["classes.json", "images.json"]
    again, before = everything(clone), everything(made)
    assert all(np.array_equal(again[split], before[split]) for split in before)
    for path in sorted(made.rglob("*.*")):
        assert md5(path) == md5(clone / path.relative_to(made)), path
    assert capsys.readouterr().out.count("making them again") == 1
    assert [path.name for path in tmp_path.iterdir() if "again" in path.name] == []


def test_pixels_of_another_revision_are_not_taken_for_these(made: Path, tmp_path: Path) -> None:
    """As after `git checkout` and `dvc checkout`, which change the record and leave the pixels."""
    directory = tmp_path / "images"
    splits.make(directory, settings(seed=1))
    for name in ("classes.json", "images.json"):
        shutil.copy(made / name, directory)
    assert np.array_equal(splits.load(directory, "test").images, splits.load(made, "test").images)


def test_pixels_that_are_being_replaced_are_nobodys(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that ends between two splits leaves those of two revisions: neither may take them."""
    directory = tmp_path / "images"
    splits.make(directory, settings(seed=1))
    other = shutil.copytree(directory, tmp_path / "other")
    for name in ("classes.json", "images.json"):
        shutil.copy(made / name, directory)
    settle = files.settle

    def end(written: Path, target: Path) -> None:
        settle(written, target)
        if target.name == "reference.npy":
            raise KeyboardInterrupt

    monkeypatch.setattr(files, "settle", end)
    with pytest.raises(KeyboardInterrupt):
        splits.load(directory, "test")
    monkeypatch.setattr(files, "settle", settle)
    for name in ("classes.json", "images.json"):
        shutil.copy(other / name, directory)
    for split, images in everything(other).items():
        assert np.array_equal(everything(directory)[split], images), split


def test_images_that_have_changed_at_their_source_are_refused(made: Path, tmp_path: Path) -> None:
    clone = shutil.copytree(made, tmp_path / "images", ignore=shutil.ignore_patterns(*PIXELS))
    record = json.loads((clone / "images.json").read_text())
    record["sha256"]["test.npy"] = "0" * 64
    files.write_json(clone / "images.json", record)
    with pytest.raises(StudyError, match="expected the images that the study was made of, found others on"):
        splits.load(clone, "test")
    assert sorted(path.name for path in clone.iterdir()) == ["classes.json", "images.json"]


@pytest.mark.parametrize("folder", ["images", "domain"])
def test_dvc_ignores_the_pixels_and_nothing_else(made: Path, folder: str) -> None:
    from dvc.ignore import DvcIgnorePatterns
    from dvc.pathspec_math import PatternInfo

    rules = (Path(__file__).parents[2] / ".dvcignore").read_text().splitlines()
    patterns = DvcIgnorePatterns([PatternInfo(rule, "") for rule in rules], "/top", os.sep)
    kept = [
        path.name
        for path in made.iterdir()
        if not patterns.matches(f"/top/data/{folder}", path.name, path.is_dir())
        if (folder, path.name) != ("domain", "stl10_binary")  # which only `images` can have
    ]
    assert sorted(kept) == ["classes.json", "images.json"]


def test_a_missing_or_cut_file_is_named(made: Path, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"nowhere/train\.npy: expected a file made by an earlier stage"):
        splits.load(tmp_path / "nowhere", "train")
    shutil.copytree(made, tmp_path / "images")
    os.truncate(tmp_path / "images" / "train.npy", 1000)
    with pytest.raises(StudyError, match=r"train\.npy: expected a whole \.npy file"):
        splits.load(tmp_path / "images", "train")


# --- STL-10 ---------------------------------------------------------------------------------------


@pytest.fixture
def real_stl10(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Small files that pass for the real ones: torchvision is told their MD5 sums, we their number."""
    from torchvision.datasets import STL10

    shutil.copytree(made / "stl10_binary", tmp_path / "stl10_binary")
    for name in ("train_list", "test_list"):
        listed = [[file, md5(tmp_path / "stl10_binary" / file)] for file, _ in getattr(STL10, name)]
        monkeypatch.setattr(STL10, name, listed)
    monkeypatch.setattr(stl10, "COUNTS", {"unlabeled": 30, "train": 20, "test": 10})
    return tmp_path


@pytest.mark.parametrize("inside", [False, True])
def test_stl10_takes_the_same_path(real_stl10: Path, made: Path, inside: bool) -> None:
    path = real_stl10 / "stl10_binary" if inside else real_stl10
    changes = {"source": "stl10", "path": str(path)}
    splits.make(real_stl10 / "images", settings(**changes, unlabeled=None, train=None, test=None))
    assert splits.classes(real_stl10 / "images") == list(procedural.CLASSES)
    expected, found = everything(made), everything(real_stl10 / "images")
    for split, images in expected.items():
        assert np.array_equal(images, found[split]), split


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[5] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "harm", "message"),
    [
        (
            "train_X.bin",
            Path.unlink,
            r"train_X\.bin: expected 552,960 bytes \(20 of 96 x 96 px\), found no such file",
        ),
        ("test_X.bin", truncate, r"test_X\.bin: expected 276,480 bytes .* found 276,479 bytes; unpack stl10"),
        ("train_y.bin", truncate, r"train_y\.bin: expected 20 bytes \(20 of one byte each\), found 19 bytes"),
        (
            "unlabeled_X.bin",
            damage,
            r"unlabeled_X\.bin: expected the file with MD5 \w+, found MD5 \w+; unpack",
        ),
        (
            "class_names.txt",
            Path.unlink,
            r"class_names\.txt: expected the names of the classes, found no such file",
        ),
    ],
)
def test_a_bad_file_of_stl10_is_named(real_stl10: Path, name: str, harm: Any, message: str) -> None:
    harm(real_stl10 / "stl10_binary" / name)
    with pytest.raises(StudyError, match=message):
        splits.make(real_stl10 / "images", settings(source="stl10", path=str(real_stl10)))
    assert list(real_stl10.glob("*images*")) == []


def test_labels_outside_the_classes_are_refused(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "images")
    labels = np.fromfile(tmp_path / "images" / "stl10_binary" / "train_y.bin", np.uint8)
    labels[4] = 0
    labels.tofile(tmp_path / "images" / "stl10_binary" / "train_y.bin")
    with pytest.raises(StudyError, match=r"train_y\.bin: expected labels from 1 to 10, found a label 0"):
        stl10.read(tmp_path / "images", {"unlabeled": 30, "train": 20, "test": 10}, genuine=False)


# --- CIFAR-10 -------------------------------------------------------------------------------------


@pytest.fixture
def cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Batches of six images in the true format, whose MD5 sums torchvision is told."""
    from torchvision.datasets import CIFAR10

    place = tmp_path / "cifar-10-batches-py"
    place.mkdir()
    rng = np.random.default_rng(0)
    for name, _ in [*CIFAR10.train_list, *CIFAR10.test_list]:
        batch = {
            "batch_label": name,
            "labels": [0, 1, 2, 0, 1, 2],
            "data": rng.integers(0, 256, (6, 3072), np.uint8),
            "filenames": [f"{name}_{at}.png" for at in range(6)],
        }
        (place / name).write_bytes(pickle.dumps(batch, protocol=2))
    names = {"label_names": ["cat", "dog", "ship"], "num_cases_per_batch": 6, "num_vis": 3072}
    (place / "batches.meta").write_bytes(pickle.dumps(names, protocol=2))
    for name in ("train_list", "test_list"):
        monkeypatch.setattr(CIFAR10, name, [[file, md5(place / file)] for file, _ in getattr(CIFAR10, name)])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": md5(place / "batches.meta")})
    return tmp_path


def test_cifar10(cifar10: Path) -> None:
    changes = {"source": "cifar10", "path": str(cifar10), "unlabeled": None, "train": None, "test": None}
    splits.make(cifar10 / "images", settings(**changes))
    images = cifar10 / "images"
    assert splits.classes(images) == ["cat", "dog", "ship"]
    found = everything(images)
    assert {split: len(part) for split, part in found.items()} == {
        "unlabeled": 20,
        "reference": 10,
        "train": 20,
        "test": 6,
    }
    batch = pickle.loads((cifar10 / "cifar-10-batches-py" / "test_batch").read_bytes())
    assert np.array_equal(found["test"], batch["data"].reshape(6, 3, 32, 32).transpose(0, 2, 3, 1))
    labels = splits.load(images, "test").labels
    assert labels is not None
    assert labels.tolist() == batch["labels"]
    reference = {image.tobytes() for image in found["reference"]}
    assert not reference & {image.tobytes() for image in found["train"]}
    assert not reference & {image.tobytes() for image in found["unlabeled"]}


@pytest.mark.parametrize(
    ("name", "harm", "found"),
    [
        ("data_batch_3", Path.unlink, "no such file"),
        ("test_batch", truncate, "bytes with MD5"),
        ("batches.meta", damage, "bytes with MD5"),
    ],
)
def test_a_bad_file_of_cifar10_is_named(cifar10: Path, name: str, harm: Any, found: str) -> None:
    harm(cifar10 / "cifar-10-batches-py" / name)
    with pytest.raises(
        StudyError, match=rf"{name}: expected the file of CIFAR-10 with MD5 \w+, found .*{found}"
    ):
        splits.make(cifar10 / "images", settings(source="cifar10", path=str(cifar10)))


# --- folders --------------------------------------------------------------------------------------


def own_images(root: Path, classes: dict[str, int], seed: int = 0) -> Path:
    """A folder of small PNG files, one sub-folder for each class."""
    rng = np.random.default_rng(seed)
    for name, count in classes.items():
        (root / name).mkdir(parents=True)
        for at in range(count):
            Image.fromarray(rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8)).save(
                root / name / f"{at:03}.png"
            )
    return root


def of_folder(root: Path, **changes: Any) -> Images:
    given = {"unlabeled": None, "reference": 4, "train": None, "test": None, **changes}
    return settings(source="folder", path=str(root), **given)


def test_a_folder_without_a_split_is_divided_class_by_class(tmp_path: Path) -> None:
    root = own_images(tmp_path / "own", {"cats": 10, "dogs": 20})
    splits.make(tmp_path / "images", of_folder(root))
    assert splits.classes(tmp_path / "images") == ["cats", "dogs"]
    found = everything(tmp_path / "images")
    labels = splits.load(tmp_path / "images", "test").labels
    assert labels is not None
    assert labels.tolist() == [0] * 2 + [1] * 4
    assert {split: len(part) for split, part in found.items()} == {
        "unlabeled": 20,
        "reference": 4,
        "train": 20,
        "test": 6,
    }
    every = [np.asarray(Image.open(path)).tobytes() for path in root.rglob("*.png")]
    parts = [image.tobytes() for split in ("unlabeled", "reference", "test") for image in found[split]]
    assert sorted(parts) == sorted(every)


def test_a_folder_with_a_split_keeps_it(tmp_path: Path) -> None:
    own_images(tmp_path / "own" / "train", {"cats": 5, "dogs": 5})
    own_images(tmp_path / "own" / "test", {"cats": 2, "dogs": 3}, seed=1)
    splits.make(tmp_path / "images", of_folder(tmp_path / "own"))
    files_of_test = sorted((tmp_path / "own" / "test").rglob("*.png"))
    expected = np.stack([np.asarray(Image.open(path)) for path in files_of_test])
    assert np.array_equal(everything(tmp_path / "images")["test"], expected)


RED, GREEN = (255, 0, 0), (0, 255, 0)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp", "jpg", "gif", "ppm", "jp2", "tga"])
def test_formats(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"image.{suffix.upper()}"
    Image.new("RGB", (40, 50), (200, 60, 30)).save(path)
    assert np.abs(folder.read_file(path, SIZE).astype(int) - (200, 60, 30)).max() <= 4


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("L", (20, 20), 100), (100, 100, 100)),
        (Image.new("LA", (20, 20), (100, 255)), (100, 100, 100)),
        (Image.new("1", (20, 20), 1), (255, 255, 255)),
        (Image.new("RGBA", (20, 20), (255, 0, 0, 255)), RED),
        (Image.new("RGBA", (20, 20), (0, 0, 0, 0)), (255, 255, 255)),
        (Image.new("RGB", (20, 20), GREEN).quantize(8), GREEN),
        (Image.fromarray(np.full((20, 20), 100 * 257, np.uint16)), (100, 100, 100)),
        (Image.fromarray(np.full((20, 20), 65535, np.uint16)), (255, 255, 255)),
    ],
    ids=["grey", "grey-alpha", "bits", "rgba", "transparent", "palette", "grey16", "white16"],
)
def test_modes(tmp_path: Path, image: Image.Image, expected: tuple[int, int, int]) -> None:
    image.save(tmp_path / "image.png")
    found = folder.read_file(tmp_path / "image.png", SIZE)
    assert found.shape == (SIZE, SIZE, 3)
    assert np.array_equal(found, np.broadcast_to(np.uint8(expected), found.shape))


def test_cmyk(tmp_path: Path) -> None:
    Image.new("CMYK", (20, 20), (0, 255, 255, 0)).save(tmp_path / "image.jpg")
    assert np.abs(folder.read_file(tmp_path / "image.jpg", SIZE)[0, 0].astype(int) - RED).max() <= 4


def test_the_centre_is_cut_out(tmp_path: Path) -> None:
    pixels = np.zeros((SIZE, 3 * SIZE, 3), np.uint8)
    pixels[:, SIZE : 2 * SIZE] = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3))
    Image.fromarray(pixels).save(tmp_path / "image.png")
    assert np.array_equal(folder.read_file(tmp_path / "image.png", SIZE), pixels[:, SIZE : 2 * SIZE])


def test_shrinking_is_antialiased(tmp_path: Path) -> None:
    board = 255 * (np.indices((8 * SIZE, 8 * SIZE)).sum(0) % 2).astype(np.uint8)
    Image.fromarray(board).save(tmp_path / "image.png")
    assert np.abs(folder.read_file(tmp_path / "image.png", SIZE).astype(int) - 127).max() <= 2


def test_the_orientation_of_a_photograph_is_followed(tmp_path: Path) -> None:
    pixels = np.zeros((SIZE, SIZE, 3), np.uint8)
    pixels[: SIZE // 2] = 255  # bright above
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by 180 degrees
    Image.fromarray(pixels).save(tmp_path / "image.png", exif=exif)
    assert np.array_equal(folder.read_file(tmp_path / "image.png", SIZE), pixels[::-1, ::-1])


def no_image(path: Path) -> None:
    path.write_text("this is no image")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def one_pixel(path: Path) -> None:
    Image.new("RGB", (1, 1)).save(path)


def floating(path: Path) -> None:
    Image.fromarray(np.zeros((20, 20), np.float32)).save(path, format="tiff")


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (
            no_image,
            "expected an image file that can be read, found cannot identify image file; replace the file",
        ),
        (empty, "expected an image file that can be read, found an empty file"),
        (cut, "expected an image file that can be read, found .*truncated"),
        (one_pixel, "expected an image of at least 8 px, found 1 x 1 px"),
        (floating, "expected an image of 8 or 16 bit, found grey values as floating-point numbers"),
    ],
)
def test_a_bad_image_is_named_and_nothing_is_left(tmp_path: Path, harm: Any, message: str) -> None:
    root = own_images(tmp_path / "own", {"cats": 10, "dogs": 10})
    harm(root / "dogs" / "004.png")
    with pytest.raises(StudyError, match=rf"own/dogs/004\.png: {message}") as caught:
        splits.make(tmp_path / "images", of_folder(root))
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own"]


def test_a_bad_image_is_named_once(tmp_path: Path) -> None:
    path = tmp_path / "two  spaces.png"
    no_image(path)
    with pytest.raises(folder.PictureError) as caught:
        folder.read_file(path, 8)
    assert caught.value.args == (str(path), "an image file that can be read", "cannot identify image file")


def test_other_files_are_left_out_aloud(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = own_images(tmp_path / "own", {"cats": 5, "dogs": 5})
    (root / "cats" / "notes.txt").write_text("cats")
    (root / "cats" / ".hidden.png").write_text("")
    (root / "readme.txt").write_text("cats and dogs")
    assert len(folder.read(str(root), 0).train) == 8
    assert "cats: 1 files that are no images left out (notes.txt)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ({}, "own: expected at least two sub-folders, one for each class, found none"),
        ({"cats": 3}, "own: expected at least two sub-folders, one for each class, found one, 'cats'"),
        ({"cats": 3, "dogs": 0}, "own/dogs: expected the images of a class, found an empty folder"),
        (
            {"cats": 3, "dogs": 1},
            "own/dogs: expected at least two images, one to train and one to test, found one",
        ),
        ({"train/cats": 3, "train/dogs": 3, "test/cats": 1, "test/cows": 1}, "expected the same classes"),
    ],
)
def test_a_folder_that_is_no_data_set(tmp_path: Path, classes: dict[str, int], message: str) -> None:
    (tmp_path / "own").mkdir()
    own_images(tmp_path / "own", classes)
    with pytest.raises(StudyError, match=message):
        splits.make(tmp_path / "images", of_folder(tmp_path / "own"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"nowhere: expected a folder .* found no such folder"):
        splits.make(tmp_path / "images", of_folder(tmp_path / "nowhere"))


# --- choosing -------------------------------------------------------------------------------------


def source(counts: list[int], pool: int | None = None) -> Source:
    labels = np.repeat(np.arange(len(counts)), counts)
    labelled = ArrayPictures(np.zeros((len(labels), 1, 1, 3), np.uint8))
    unlabelled = labelled if pool is None else ArrayPictures(np.zeros((pool, 1, 1, 3), np.uint8))
    names = [f"class {at}" for at in range(len(counts))]
    return Source(names, unlabelled, labelled, labels, labelled, labels, pool is None)


def test_a_limited_choice_keeps_the_shares_of_the_classes() -> None:
    chosen = splits.choose(source([10, 30, 60], pool=100), settings(train=10, test=50))
    labels = np.repeat(np.arange(3), [10, 30, 60])
    assert np.bincount(labels[chosen["train"]]).tolist() == [1, 3, 6]
    assert np.bincount(labels[chosen["test"]]).tolist() == [5, 15, 30]


def test_splits_of_the_pool_are_disjoint_and_depend_on_the_seed() -> None:
    first, second = (
        splits.choose(source([50, 50]), settings(**OWN, seed=seed, unlabeled=None)) for seed in (0, 1)
    )
    assert len(first["reference"]) == 10
    assert sorted([*first["reference"], *first["unlabeled"]]) == list(range(100))
    assert not set(first["reference"]) & set(first["train"])
    assert first["reference"].tolist() != second["reference"].tolist()
    assert first["train"].tolist() != second["train"].tolist()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"unlabeled": 91},
            r"expected 10 \(images.reference\) and 91 \(images.unlabeled\) images .* found 100",
        ),
        (
            {"unlabeled": None, "reference": 100},
            r"expected 100 \(images.reference\) and 1 \(images.unlabeled\)",
        ),
        ({"train": 91}, r"expected 91 images \(images.train\), at least one of each of 2 classes, found 90"),
        ({"test": 101}, r"expected 101 images \(images.test\).* found 100; lower the numbers"),
        ({"test": 1}, r"expected 1 images \(images.test\), at least one of each of 2 classes"),
    ],
)
def test_more_images_than_there_are(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        splits.choose(source([50, 50]), settings(**OWN, **changes))


def test_a_full_disk_is_told_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(StudyError, match=r"expected 2 MB of free disk, found 0 MB; free some space"):
        splits.make(tmp_path / "images", settings())
    assert list(tmp_path.iterdir()) == []


def test_the_names_of_the_classes_are_json(made: Path) -> None:
    assert json.loads((made / splits.CLASSES).read_text()) == files.read_json(made / splits.CLASSES)
