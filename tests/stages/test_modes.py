"""The stage `modes`: two checkpoints, their receptive fields; resumed, read by unit, refused."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from protoviz import layout
from protoviz.config import params
from protoviz.errors import StudyError
from protoviz.models import checkpoints, resnet
from protoviz.store import modes as store
from protoviz.store import schema, schema_modes, validation, zarr_io
from stages import modes

SIZE, EPOCHS = 32, (0, 3)
PER_LAYER, STARTS, KEPT = 3, 3, 2
LAYERS = ("layer1", "layer2", "layer3", "layer4")


def study(epochs=EPOCHS, **changes):
    read = params.load(Path(__file__).parents[2] / "params.yaml")
    asked = {"runs": [1], "restarts": STARTS, "per_layer": PER_LAYER, "kept": KEPT} | changes
    steps = read.synthesis.ascent.model_copy(update={"steps": 3})
    return read.model_copy(
        update={
            "images": read.images.model_copy(update={"size": SIZE}),
            "train": read.train.model_copy(update={"keep": list(epochs)}),
            "synthesis": read.synthesis.model_copy(update={"ascent": steps, "precision": "float32"}),
            "distances": read.distances.model_copy(update={"embedders": ["pixels"]}),
            "modes": read.modes.model_copy(update=asked),
        }
    )


def write_inputs(epochs=EPOCHS):
    for epoch in epochs:
        network = resnet.initial("resnet18", 4, seed=epoch)
        identity = checkpoints.Checkpoint("clrjit", 1, epoch, "resnet18", 4, initial_weights="")
        checkpoints.save(checkpoints.path(layout.checkpoints("clrjit", 1), epoch), network, identity)
    masks = np.ones((1, 1, len(epochs), len(LAYERS), SIZE, SIZE), np.float32)
    masks[..., : SIZE // 2, :] = 0.5
    fields = xr.Dataset(
        {"mask": (schema.RECEPTIVE_FIELDS["mask"].dims, masks)},
        {
            "condition": ["clrjit"],
            "run": [1],
            "epoch": list(epochs),
            "layer": np.array(LAYERS, dtype=schema.TEXT),
        },
    )
    zarr_io.write_dataset(layout.receptive_fields("clrjit", 1), fields)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROTOVIZ_WORKERS", "1")
    write_inputs()
    return tmp_path


def run(study):
    modes.main(study, "clrjit", 1)
    return layout.modes("clrjit", 1)


@pytest.mark.usefixtures("folder")
def test_what_is_written():
    place = run(study())
    assert validation.problems(place, schema_modes.MODES) == []
    found = store.open_modes(place)
    count = PER_LAYER * len(LAYERS)
    assert found.modes.shape == (1, 1, len(EPOCHS), count)
    assert found.mode_image.shape == (1, 1, 2, count, KEPT, SIZE, SIZE, 3)
    assert set(found.layer.values) == set(LAYERS)
    values = found.modes.values
    np.testing.assert_array_equal(values > 0, found.reaching.values > 0)
    assert (values <= found.reaching.values).all()
    assert found.reaching.values.max() <= STARTS
    sizes = found.mode_starts.values
    np.testing.assert_array_equal((sizes > 0).sum(-1), np.minimum(values, KEPT))
    images = found.mode_image.values
    np.testing.assert_array_equal(images.any((-1, -2, -3)), sizes > 0)
    # Each image of a mode drives its unit as much as the start that it is of: one of those that reach.
    reach = found.start_activation.max("start") * 0.8
    assert (found.start_activation.where(found.mode_of_start >= 0) >= reach).sum() == found.reaching.sum()
    assert "modes" not in store.open_modes(place, images=False).mode_of_start.dims


def test_epochs_are_pieces_that_are_whole_or_not_there(folder):
    whole = run(study())
    kept = {path.relative_to(whole): path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    laid = folder / "laid"
    opened = store.open_modes(whole)
    lengths = {name: opened.sizes[name] for name in ("start", "mode", "y", "x", "rgb")}
    units = {layer: opened.channel.values[opened.layer.values == layer].tolist() for layer in LAYERS}
    store.create(laid, ("clrjit", 1), EPOCHS, units, lengths, {})
    assert not store.done(laid, 3)
    one = opened.isel(condition=0, run=0).sel(epoch=3)
    store.write_epoch(laid, 3, {name: one[name].values for name in one.data_vars})
    assert store.done(laid, 3)
    assert not store.done(laid, 0)
    with pytest.raises(StudyError, match="no shard"):
        store.finish(laid)
    for path in (path for path in kept if "/c/0/0/1" in str(path)):
        assert (laid / path).read_bytes() == kept[path]


@pytest.mark.usefixtures("folder")
def test_the_same_again_and_for_some_epochs_and_units():
    first = run(study())
    kept = {path.relative_to(first): path.read_bytes() for path in first.rglob("*") if path.is_file()}
    again = run(study())
    assert {path.relative_to(again): path.read_bytes() for path in again.rglob("*") if path.is_file()} == kept
    whole = store.open_modes(again)[["start_activation", "noise"]].load()
    some = store.open_modes(run(study().model_copy(update={"modes": study(per_layer=2).modes})))
    chosen = some.set_index(unit=["layer", "channel"]).unit.values
    of_whole = whole.set_index(unit=["layer", "channel"]).sel(unit=chosen)
    np.testing.assert_allclose(some.start_activation, of_whole.start_activation, rtol=1e-4)
    last = study().modes.model_copy(update={"epochs": [3]})
    alone = store.open_modes(run(study().model_copy(update={"modes": last})))
    assert alone.epoch.values.tolist() == [3]
    np.testing.assert_array_equal(alone.start_activation[0, 0, 0], whole.start_activation[0, 0, 1])


@pytest.mark.usefixtures("folder")
def test_images_that_are_pushed_apart_are_a_method():
    found = store.open_modes(run(study(method="diversity")))
    assert (found.modes >= 0).all()


@pytest.mark.usefixtures("folder")
def test_one_start():
    found = store.open_modes(run(study(restarts=1)))
    assert set(np.unique(found.modes)) <= {0, 1}
    assert np.isnan(found.spread).all()


def test_memory_does_not_grow_with_epochs(tmp_path, monkeypatch):
    """By less than the vectors of an epoch; torch.fx keeps the source of every network, 0.3 MB."""
    monkeypatch.setenv("PROTOVIZ_WORKERS", "1")
    peaks = []
    for epochs in ((0,), (0,), (0, 1, 2)):  # the first prepares what all share
        folder = tmp_path / str(len(peaks))
        folder.mkdir()
        monkeypatch.chdir(folder)
        write_inputs(epochs)
        tracemalloc.start()
        run(study(epochs, per_layer=None))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    vectors = 60 * (STARTS + 1) * SIZE * SIZE * 3 * 4
    assert peaks[2] - peaks[1] < vectors


def test_an_extent_that_does_not_fit_is_refused(folder):
    place = run(study())
    opened = store.open_modes(place).isel(condition=0, run=0).sel(epoch=3)
    arrays = {name: opened[name].values for name in opened.data_vars}
    arrays["spread"] = arrays["spread"][:-1]
    with pytest.raises(StudyError, match="spread, epoch 3: expected"):
        store.write_epoch(place, 3, arrays)
    with pytest.raises(StudyError, match="found nothing"):
        store.open_modes(folder / "nothing")
