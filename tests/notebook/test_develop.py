"""From the checkpoints of a real training to prototypes and receptive fields."""

import gc
import re

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import protoviz
from protoviz import files
from protoviz.errors import StudyError
from protoviz.models.readout.network import Network
from protoviz.store import attributes, schema
from tests.notebook.conftest import EPOCHS, RECIPE, SIZE, UNITS, network


def test_each_epoch_is_what_synthesize_makes_of_its_checkpoint(made, trained):
    cube = made.cubes[0]
    assert cube.epoch.values.tolist() == list(EPOCHS)
    assert cube.checkpoint.values.tolist() == ["epoch 0", "epoch 1", "epoch 3"]
    assert cube.layer.values.tolist() == ["block"] * 4 + ["stem"] * 4
    assert cube.channel.values.tolist() == [0, 1, 2, 5, 0, 1, 2, 3], "ascending, whatever the order asked for"
    for epoch in EPOCHS:
        model = network()
        model.load_state_dict(load_file(trained / "blue" / "run1" / f"epoch_{epoch:04d}.safetensors"))
        alone = protoviz.synthesize(model, UNITS, name="blue", run=1, epoch=epoch, **RECIPE)
        for name in alone.data_vars:
            one = cube[name].sel(epoch=[epoch])
            np.testing.assert_array_equal(one, alone[name].isel(unit=[1, 2, 3, 0, 4, 5, 6, 7]))
    assert not np.array_equal(cube.latent.sel(epoch=0), cube.latent.sel(epoch=3))


def test_all_kinds_of_series_give_the_same(made, trained):
    paths = [trained / "blue" / "run1" / f"epoch_{epoch:04d}.safetensors" for epoch in EPOCHS]
    several = {"name": "blue", "run": 1, **RECIPE}
    mapped = protoviz.develop(network(), dict(zip(EPOCHS, paths, strict=True)), UNITS, **several)
    listed = protoviz.develop(network(), paths, UNITS, epochs=EPOCHS, **several)
    assert made.cubes[0].identical(mapped)
    assert mapped.identical(listed)
    one = protoviz.develop(network(), made.patterns[0], UNITS, epochs=[3], **several)
    assert one.image.identical(made.cubes[0].image.sel(epoch=[3]))


def test_what_it_was_made_of_is_said(made, trained):
    said = attributes.read(made.cube)
    assert said["synthesis"]["ascent"]["steps"] == 4
    for name in ("blue", "red"):
        expected = {
            str(e): files.sha256(trained / name / "run1" / f"epoch_{e:04d}.safetensors") for e in EPOCHS
        }
        assert said["checkpoint_sha256"][f"{name}-1"] == expected


def test_one_network_at_a_time_is_held(made, monkeypatch):
    """Of those before, none lives on, whether or not Python happens to look for garbage."""
    most = []
    initialise = Network.__init__

    def counted(self, *args, **kwargs):
        initialise(self, *args, **kwargs)
        most.append(sum(type(one) is torch.nn.Conv2d for one in gc.get_objects()))

    monkeypatch.setattr(Network, "__init__", counted)
    gc.collect()
    gc.disable()
    try:
        cube = protoviz.develop(network(), made.patterns[0], "stem:0", **{**RECIPE, "repeats": 1})
        of_prototypes, most = most, most[:0]
        protoviz.receptive_fields(network(), cube, made.patterns[0], noise=2, probes=1)
    finally:
        gc.enable()
    for counts in (of_prototypes, most):
        first, second, third = np.split(np.array(counts), len(EPOCHS))
        assert len(first)
        assert (third <= second).all(), "at the last checkpoint no more than at the one before"


def test_receptive_fields_are_those_of_the_checkpoints(made):
    field = made.fields[0]
    assert field.sizes[schema.EPOCH] == len(EPOCHS)
    assert field.layer.values.tolist() == ["block", "stem"]
    box = field.box.sel(layer="stem").values.tolist()
    top, bottom = box[:2]
    assert bottom - top == 3, "of a convolution of 3 x 3"
    outside = np.ones((SIZE, SIZE), bool)
    outside[box[0] : box[1], box[2] : box[3]] = False
    assert not field.gradient.sel(layer="stem").values[..., outside].any()
    assert (field.mask.max(("y", "x")) == 1).all()
    assert not np.array_equal(*(field.gradient.sel(epoch=epoch) for epoch in (0, 3)))


def test_a_model_as_it_is_has_receptive_fields(made):
    model = network()
    cube = protoviz.synthesize(model, "stem:0-1", **RECIPE)
    alone = protoviz.receptive_fields(model, cube, noise=4, probes=2)
    series = made.fields[0].sel(epoch=[0], layer=["stem"])
    np.testing.assert_array_equal(alone.gradient, series.gradient), "the untrained network is the same"
    assert alone.condition.values.tolist() == ["model"]


@pytest.mark.parametrize(("channels", "size"), [(1, (10, 14)), (3, (14, 10)), (1, 12), (5, (11, 12))])
def test_images_need_not_be_rgb_squares(tmp_path, channels, size):
    """Of one or n channels, of other height than width: through every function of a session."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(channels, 4, (3, 5), padding=(1, 2)), nn.MaxPool2d(2), nn.Conv2d(4, 3, 3, padding=1)]
    model = nn.Sequential(*layers)
    for epoch in (0, 1, 2):
        nn.init.normal_(layers[0].weight)
        torch.save(model.state_dict(), tmp_path / f"{epoch}.pt")
    series = str(tmp_path / "{epoch}.pt")
    cube = protoviz.develop(model, series, ["0", "2"], **{**RECIPE, "size": size})
    height, width = size if isinstance(size, tuple) else (size, size)
    assert cube.image.shape[-3:] == (height, width, channels)
    fields = protoviz.receptive_fields(model, cube, series, noise=4, probes=2)
    for layer, sides in (("0", (3, 5)), ("2", (8, 10))):
        field = fields.sel(layer=layer)
        assert field.mask.shape[-2:] == (height, width)
        image = torch.rand(1, channels, height, width, requires_grad=True)
        made = model[: int(layer) + 1](image)
        made[0, :, (made.shape[2] - 1) // 2, (made.shape[3] - 1) // 2].sum().backward()
        top, bottom, left, right = field.box.values.tolist()
        assert (bottom - top, right - left) == sides, "of the two convolutions and what pooling takes in"
        outside = np.ones((height, width), bool)
        outside[top:bottom, left:right] = False
        assert not (image.grad[0] != 0).any(0).numpy()[outside].any()
        assert not field.gradient.values[..., outside].any()
    distances = protoviz.distances(cube, fields)
    found = protoviz.measures(cube, distances, fields)
    assert np.isfinite(found.diversity.where(found.live_units > 1, 0)).all(), "of all layers that live"
    assert found.live_units.max() > 1
    assert ("saturation" in found) == (channels == 3)
    assert channels == 3 or "saturation: the images are not RGB" in found.attrs["absent"]
    page = protoviz.atlas(cube, tmp_path / "atlas", receptive_fields=fields, distances=distances)
    assert page.is_file()


def test_units_may_be_masked_by_fields_of_their_own(made):
    """Of the six channels of the layer the cube holds four."""
    cube = made.cubes[0].isel(epoch=[2])
    fields = protoviz.receptive_fields(
        network(), cube, made.patterns[0], noise=4, probes=2, per_unit=True, device="cpu"
    )
    assert (fields.unit_fit_status != schema.FitStatus.MISSING).all()
    found = protoviz.distances(cube, fields)
    alone = protoviz.distances(cube.isel(unit=[0, 3]), fields)
    both = {"embedder": "pixels", "distance": "mse", "masking": "masked"}
    repeats = [one.between_repeats.sel(both).squeeze().values for one in (found, alone)]
    np.testing.assert_array_equal(repeats[0][[0, 3]], repeats[1])


REFUSED = {
    "a layer": ({"units": "stm"}, r"epoch 0, .*epoch_0000.safetensors: layer 'stm'"),
    "state": ({"state": "x"}, "state: expected checkpoints and epochs, found one alone"),
    "epoch": ({"epochs": [2]}, "checkpoints: epoch 2: expected one of 0, 1, 3"),
    "option": ({"preset": "fats"}, "preset 'fats'"),
}


@pytest.mark.parametrize(("wrong", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_is_refused(made, wrong, message):
    with pytest.raises(StudyError, match=message):
        protoviz.develop(network(), made.patterns[0], **{"units": UNITS, **RECIPE, **wrong})


def test_weights_of_another_network_are_refused_with_their_epoch(trained, tmp_path):
    other = tmp_path / "other.pt"
    torch.save(torch.nn.Linear(2, 2).state_dict(), other)
    first = trained / "blue" / "run1" / "epoch_0000.safetensors"
    with pytest.raises(StudyError, match=f"epoch 4, {re.escape(str(other))}: "):
        protoviz.develop(network(), {0: first, 4: other}, UNITS, **RECIPE)


def test_receptive_fields_of_what_is_not_there_are_refused(made):
    cube = made.cubes[0]
    for wrong, message in (
        ((made.cube, made.patterns[0]), "cube: expected one condition and one run, .* found 2 x 1"),
        ((cube, None), "checkpoints: expected those of epochs"),
        ((cube, [made.patterns[0]], [5]), "expected a file|expected one of epoch"),
    ):
        with pytest.raises(StudyError, match=message):
            protoviz.receptive_fields(network(), wrong[0], wrong[1], epochs=(wrong[2:] or (None,))[0])
