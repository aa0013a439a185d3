"""The stage `responses`: two checkpoints, toy prototypes, held-out images."""

import gc
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from protoviz import layout
from protoviz.config import params
from protoviz.config.analysis import Faithfulness, NaturalImages
from protoviz.errors import StudyError
from protoviz.models import checkpoints, resnet
from protoviz.models.readout.network import Network
from protoviz.store import cube, schema, validation, zarr_io
from protoviz.store.schema_responses import NATURAL
from protoviz.synthesis.responses.dataset import Shown, natural_responses
from protoviz.synthesis.responses.forward import OwnResponses, all_responses
from stages.responses import main

SIZE, EPOCHS, REPEATS = 32, (0, 3), (0, 1)
UNITS = {"layer1": 4, "layer2": 8, "layer3": 16, "layer4": 32}
CPU = torch.device("cpu")


@pytest.fixture
def study(tmp_path, monkeypatch):
    read = params.load(Path(__file__).parents[2] / "params.yaml")
    monkeypatch.chdir(tmp_path)
    return read.model_copy(
        update={
            "images": read.images.model_copy(update={"size": SIZE}),
            "train": read.train.model_copy(update={"keep": list(EPOCHS)}),
            "natural": NaturalImages(
                images=12, top=3, faithfulness=Faithfulness(top=3, elements=200), keep_responses=12
            ),
        }
    )


def network(epoch):
    return resnet.initial("resnet18", 4, seed=epoch).eval().requires_grad_(False)


def write_inputs(study, change=None, repeats=REPEATS):
    """Random images for prototypes, each with the response of its own network."""
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (20, SIZE, SIZE, 3), dtype=np.uint8)
    layout.IMAGES.mkdir(parents=True)
    np.save(layout.IMAGES / "test.npy", images)
    np.save(layout.IMAGES / "test_labels.npy", np.zeros(20, np.int64))
    extent = cube.Template(("clrjit",), (1,), repeats, EPOCHS, UNITS, SIZE, 2, 3)
    cube.create(layout.prototypes("clrjit", 1), extent, {})
    for epoch in EPOCHS:
        identity = checkpoints.Checkpoint("clrjit", 1, epoch, "resnet18", 4, initial_weights="")
        checkpoints.save(checkpoints.path(layout.checkpoints("clrjit", 1), epoch), network(epoch), identity)
        for repeat in repeats:
            address = cube.Address("clrjit", 1, repeat, epoch)
            shown = rng.integers(0, 256, (60, SIZE, SIZE, 3), dtype=np.uint8)
            activation = answered(study, epoch, shown)
            status = np.where(activation > 0, schema.Status.CONVERGED, schema.Status.DEAD).astype(np.uint8)
            shard = cube.Shard(
                shown, np.zeros((60, 2), np.float16), activation, np.zeros((60, 3), np.float32), status
            )
            if change:
                change(shard, address)
            cube.write_shard(layout.prototypes("clrjit", 1), address, shard)
    return images


def answered(study, epoch, images):
    """The responses of all units of a network to their own images."""
    asked, first, found = Network(network(epoch), SIZE), 0, []
    for layer, count in UNITS.items():
        own = OwnResponses(asked, layer, study.synthesis.objective, batch=8, device=CPU)
        found.append(own(images[first : first + count], np.arange(count)))
        first += count
    return np.concatenate(found)


def asked(study, **changes):
    """The study with other parameters of what is asked of natural images."""
    return study.model_copy(update={"natural": study.natural.model_copy(update=changes)})


def run(study):
    main(study, "clrjit", 1)
    return zarr_io.open_dataset(layout.natural("clrjit", 1))


def test_natural_images_of_every_unit(study):
    images = write_inputs(study)
    natural = run(study)
    assert natural.attrs["images"] == 12
    assert natural.sizes == {
        "condition": 1,
        "run": 1,
        "repeat": 2,
        "epoch": 2,
        "unit": 60,
        "rank": 3,
        "layer": 4,
        "inner_layer": 24,
        "shown": 12,
    }
    top = natural.top_image.values[0, 0]
    shown = np.unique(top)
    assert len(shown) <= 12
    for number, epoch in enumerate(EPOCHS):
        seen = all_responses(
            Network(network(epoch), SIZE), list(UNITS), study.synthesis.objective, images, batch=8, device=CPU
        )
        all_units = np.concatenate(list(seen.values()), axis=1)  # (20, 60), of all images
        for unit in range(60):
            responses = all_units[top[number, unit], unit]
            np.testing.assert_allclose(
                natural.top_response.values[0, 0, number, unit], responses, rtol=1e-4, atol=1e-5
            )
        assert (np.diff(natural.top_response.values[0, 0, number]) <= 0).all()
    ratio = natural.ratio_to_maximum.values[0, 0]
    with cube.open_cube(layout.prototypes("clrjit", 1)) as made:
        activation, alive = made.activation.values[0, 0], made.status.values[0, 0] == 1
    greatest = natural.top_response.values[0, 0, :, :, 0]
    wanted = np.where(alive & (greatest > 0), activation / greatest, np.nan)
    np.testing.assert_allclose(ratio, wanted, rtol=1e-5)
    assert np.isfinite(ratio).any()
    assert np.isnan(natural.percentile.values[0, 0][~alive]).all()
    above = natural.percentile.values[0, 0] == 100
    assert (above == (alive & (activation > greatest))).all()
    assert (natural.varying_units.values[0, 0] == list(UNITS.values())).all()
    assert (natural.participation_ratio >= 1).all()


def test_responses_to_some_images_are_kept(study):
    images = write_inputs(study)
    few = study.model_copy(update={"natural": study.natural.model_copy(update={"keep_responses": 5})})
    natural = run(few)
    rows = natural.attrs["shown_images"]
    assert len(rows) == natural.sizes["shown"] == 5
    for number, epoch in enumerate(EPOCHS):
        seen = all_responses(
            Network(network(epoch), SIZE),
            list(UNITS),
            study.synthesis.objective,
            images[rows],
            batch=8,
            device=CPU,
        )
        first = 0
        for values in seen.values():
            kept = natural.response.values[0, 0, number, :, first : first + values.shape[1]].astype(float)
            exact = values.astype(float) - values.astype(float).mean(0)
            np.testing.assert_allclose(kept, exact / np.sqrt((exact**2).mean()), atol=3e-3)
            first += values.shape[1]
    chunks = sorted(f.name for f in (layout.natural("clrjit", 1) / "response" / "c" / "0" / "0").iterdir())
    assert chunks == ["0", "1"]  # one for each epoch
    none = study.model_copy(update={"natural": study.natural.model_copy(update={"keep_responses": None})})
    assert "response" not in run(none)


def test_a_second_time_the_same_bytes(study):
    write_inputs(study)
    assert run(study).identical(run(study))


def test_a_layer_without_live_units_is_said(study):
    def kill(shard, _address):
        shard.status[:4] = schema.Status.DEAD

    write_inputs(study, kill)
    natural = run(study)
    assert natural.percentile[..., :4].isnull().all()
    assert (natural.top_image >= 0).all()  # what the units respond to is known nevertheless


def test_fewer_images_than_asked_for(study):
    write_inputs(study)
    natural = run(asked(study, images=None, top=50))
    assert natural.attrs["images"] == 20
    assert natural.sizes["rank"] == 20


def test_prototypes_of_another_network_are_refused(study):
    def stale(shard, address):
        shard.activation[:] *= 1.5 if address.epoch == 3 else 1

    write_inputs(study, stale)
    with pytest.raises(StudyError, match="epoch 3, layer1: expected the network of the stored prototypes"):
        main(study, "clrjit", 1)
    assert not layout.natural("clrjit", 1).exists()


def test_a_gap_is_no_dead_unit(study):
    write_inputs(study)
    (layout.prototypes("clrjit", 1) / "status" / "c" / "0" / "0" / "1" / "0" / "0").unlink()
    with pytest.raises(StudyError, match="expected a whole store, found no shard of status"):
        main(study, "clrjit", 1)


def test_one_epoch_and_one_repeat(study):
    write_inputs(study, repeats=(0,))
    natural = run(study)
    assert natural.sizes["repeat"] == 1
    assert natural.percentile.notnull().any()


def test_prototypes_are_compared_along_the_layers(study):
    write_inputs(study)
    natural = run(study)
    inner = natural.inner_layer.values.tolist()
    assert (inner[0], inner[-1]) == ("conv1", "layer4")
    on_way = np.isfinite(natural.similarity_own.values[0, 0]).all(0)  # (unit, inner layer)
    layers = natural.unit_layer.values
    for layer in UNITS:
        way = [name for name, there in zip(inner, on_way[layers == layer].all(0), strict=True) if there]
        assert way[0] == "conv1"
        assert way[-1] == layer
        assert (on_way[layers == layer].any(0) == on_way[layers == layer].all(0)).all()
    alive = cube.open_cube(layout.prototypes("clrjit", 1)).status.values[0, 0] == 1
    similarity = natural.similarity.values[0, 0]
    assert (np.isfinite(similarity).any(-1) == alive).all()
    scales = (natural.similarity_own - natural.similarity_unrelated).values[0, 0]
    along, above = (
        natural.faithfulness_along.values[0, 0],
        (natural.similarity - natural.similarity_unrelated),
    )
    for number, layer in enumerate(UNITS):
        mean = scales[:, layers == layer].mean(1)  # (epoch, inner layer)
        known = np.isfinite(along[:, :, layers == layer]).any((0, 2))
        assert (natural.compared_layers.values[0, 0, :, number] == known.sum(-1)).all()
        part = above.transpose("condition", "run", "repeat", "epoch", "unit", "inner_layer").values[0, 0]
        for epoch in range(len(EPOCHS)):
            at = np.flatnonzero(known[epoch])
            own = part[:, epoch][:, layers == layer][..., at]
            wanted = own / mean[epoch, at]
            np.testing.assert_allclose(
                along[:, epoch][:, layers == layer][..., at], wanted, rtol=1e-3, atol=1e-4
            )
            if len(at):
                found = natural.faithfulness.values[0, 0, :, epoch][:, layers == layer]
                np.testing.assert_allclose(found, own.sum(-1) / mean[epoch, at].sum(), rtol=1e-3, atol=1e-4)


def test_what_is_not_asked_is_not_there(study):
    write_inputs(study)
    natural = run(asked(study, faithfulness=None))
    assert "faithfulness" not in natural
    assert "inner_layer" not in natural.coords
    assert not validation.problems(layout.natural("clrjit", 1), NATURAL)


def test_one_photograph_for_each_unit_is_said_to_be_too_few(study):
    write_inputs(study)
    natural = run(asked(study, faithfulness=Faithfulness(top=1, elements=50)))
    assert natural.faithfulness.isnull().all()
    assert natural.similarity.notnull().any()
    assert (natural.compared_layers == 0).all()
    assert "one natural image for each unit" in natural.attrs["faithfulness_absent"]


def test_memory_does_not_grow_with_epochs(study):
    """Beyond what is stored: sums of ranks are those of one epoch and one layer of units."""
    write_inputs(study, repeats=(0,))
    made = cube.open_cube(layout.prototypes("clrjit", 1))
    shown = Shown(np.load(layout.IMAGES / "test.npy"), np.arange(20), 3, Faithfulness(top=3, elements=2000))
    asked_network = Network(network(0), SIZE)

    def networks(epochs):
        for _ in range(epochs):
            gc.collect()  # graphs refer to themselves
            yield asked_network

    def peak(epochs):
        many = made.isel(epoch=[0] * epochs).assign_coords(epoch=np.arange(epochs))
        tracemalloc.start()
        found = natural_responses(
            networks(epochs), many, shown, study.synthesis.objective, batch=8, device=CPU
        )
        most = tracemalloc.get_traced_memory()[1] - found.nbytes
        tracemalloc.stop()
        return most

    peak(1)  # what is made once
    one = peak(1)  # most of it sums of ranks; torch keeps the source of every graph, some 100 kB an epoch
    assert peak(5) < one + 600_000 < 1.5 * one
