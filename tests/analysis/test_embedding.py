"""Vectors kept in files: the same distances as those made on the way, one task for each (repeat, epoch)."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from protoviz.analysis import embedders, embedding
from protoviz.analysis.distances import measured
from protoviz.analysis.embedding import Embedding, LayerRows, Place
from protoviz.models import checkpoints, resnet
from protoviz.store import cube, schema, zarr_io
from tests.analysis import test_distances
from tests.reference import prototypes as toy
from tests.reference.distance_store import distances

SPACES = ("reference", "pixels")


@pytest.fixture
def work(tmp_path):
    """A study of toy prototypes at 16 px with masks and an encoder."""
    model = resnet.initial("resnet18", 4, 3)
    encoder = tmp_path / "encoder.safetensors"
    checkpoints.save(encoder, model, checkpoints.Checkpoint("reference", 0, 1, "resnet18", 4, "none"))
    store = toy.write_cube(tmp_path / "cube.zarr", toy.template(size=16))
    fields = tmp_path / "fields.zarr"
    _, masks = test_distances.toy(epochs=(0, 2, 8), layers=toy.LAYERS, size=16)
    zarr_io.write_dataset(fields, masks)
    folder = tmp_path / "pieces"
    folder.mkdir()
    setting = embedders.Setting(encoder, "cpu", 1, 5)
    return Embedding(store, fields, SPACES, setting, folder)


def test_kept_vectors_give_the_distances_of_fresh_ones(work):
    for item in work.items():
        assert not work.done(item)
        work(item)
        assert work.done(item)
    prototypes = cube.open_cube(work.prototypes)
    kept = measured(prototypes, SPACES, work.read)
    spaces = embedders.load(SPACES, work.setting)
    fresh = distances(prototypes, zarr_io.open_dataset(work.fields), spaces)
    for name, values in fresh.data_vars.items():
        np.testing.assert_allclose(kept[name], values, rtol=1e-5, atol=1e-9)
    assert kept.identical(measured(prototypes, SPACES, work.read))


def test_there_is_a_task_for_each_repeat_and_epoch(work):
    assert sorted(work.items()) == [(repeat, epoch) for repeat in (0, 1) for epoch in (0, 1, 2)]
    assert Embedding(work.prototypes, work.fields, ("pixels",), work.setting, work.folder).items() == []


def test_files_hold_every_unit_in_its_place(work):
    work((1, 2))
    (piece,) = work.folder.iterdir()
    assert {path.name for path in piece.iterdir()} == {f"reference-{m}.npy" for m in schema.MASKINGS}
    whole = np.load(piece / "reference-unmasked.npy")
    images = cube.open_cube(work.prototypes).image.values[0, 0, 1, 2]
    expected = embedders.load(["reference"], work.setting)["reference"](images)
    np.testing.assert_allclose(whole, expected, rtol=1e-5, atol=1e-7)
    rows = work.read("reference", "unmasked", Place(1, 2, "layer2", slice(4, 12)))
    np.testing.assert_array_equal(rows[2:4], whole[6:8])


def test_a_task_can_be_sent_to_another_process(work):
    again = pickle.loads(pickle.dumps(work))
    again((0, 0))
    assert work.done((0, 0))


def test_an_interrupted_task_is_not_done(work, monkeypatch):
    monkeypatch.setattr(embedding, "_loaded", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        work((0, 0))
    assert not work.done((0, 0))
    assert list(work.folder.iterdir()) == []


def test_each_unit_keeps_its_own_mask_in_any_block(work):
    prototypes = cube.open_cube(work.prototypes)
    masks = np.random.default_rng(0).random((8, 16, 16), dtype=np.float32)
    embed = embedders.load(["pixels"], work.setting)["pixels"]
    rows = LayerRows(prototypes, Place(0, 1, "layer2", slice(4, 12)), embed, masks, "pixels")
    images = prototypes.image.values[0, 0, 0, 1, 4:12].astype(np.float32) / np.float32(255)
    wanted = (images * masks[..., None]).reshape(8, -1)
    np.testing.assert_allclose(np.concatenate([rows[0:3], rows[3:8]]), wanted, rtol=1e-6)


def test_pixels_in_blocks_are_pixels(work, monkeypatch):
    place = Place(0, 1, "layer2", slice(4, 12))
    whole = work.read("pixels", "masked", place)[0:8]
    monkeypatch.setattr(embedding, "HELD", 0)
    monkeypatch.setattr(embedding, "AT_ONCE", 3)
    rows = work.read("pixels", "masked", place)
    assert len(rows) == 8
    np.testing.assert_array_equal(np.concatenate([rows[0:3], rows[3:8]]), whole)
    assert isinstance(work.prototypes, Path)
