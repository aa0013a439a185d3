"""protoviz.units and protoviz.synthesize: the cube's schema, the same numbers, errors before any work."""

import re
import subprocess
import sys
from collections import OrderedDict

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

import protoviz
from protoviz.config import synthesis
from protoviz.errors import StudyError
from protoviz.models.priors import generator
from protoviz.models.priors.pixels import Pixels
from protoviz.store import attributes, cube, schema

SIZE = 16
FEW = {"size": SIZE, "prior": "pixels", "precision": "float32", "repeats": 1, "ascent": {"steps": 3}}
IMAGE = (schema.Y, schema.X, schema.RGB)


@pytest.fixture(scope="module")
def model():
    layers = OrderedDict(
        stem=nn.Conv2d(3, 6, 3, stride=2, padding=1),
        norm=nn.BatchNorm2d(6),
        bend=nn.ReLU(),
        block=nn.Sequential(nn.Conv2d(6, 8, 3, padding=1), nn.ReLU()),
        pool=nn.AdaptiveAvgPool2d(1),
        flat=nn.Flatten(),
        head=nn.Linear(8, 5),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(layers)
        for part in network.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                nn.init.orthogonal_(part.weight)
    return network.eval()


@pytest.fixture(scope="module")
def made(model):
    return protoviz.synthesize(model, ["stem:0-3", "block:1,5"], **{**FEW, "repeats": 2})


def channels(dataset):
    """Layer -> channels, as they stand in a Dataset."""
    found = {}
    for layer, channel in zip(dataset.layer.values, dataset.channel.values, strict=True):
        found.setdefault(str(layer), []).append(int(channel))
    return found


def test_layers_are_listed_with_their_channels(model):
    found = {
        layer.name: (layer.type, layer.kind, layer.channels, layer.shape)
        for layer in protoviz.units(model, size=SIZE)
    }
    assert found["stem"] == ("Conv2d", "map", 6, (8, 8))
    assert found["block"] == ("Sequential", "map", 8, (8, 8))
    assert found["head"] == ("Linear", "vector", 5, ())
    assert not {"norm", "bend", "pool", "flat"} & set(found)


def test_the_schema_is_that_of_the_cube(made, tmp_path):
    """Compared with a cube on disk, which then takes the prototypes."""
    template = cube.Template(
        conditions=("model",),
        runs=(0,),
        repeats=(0, 1),
        epochs=(0,),
        layers={"stem": 4, "block": 2},
        size=SIZE,
        components=made.sizes[schema.COMPONENT],
        trace=4,
    )
    cube.create(tmp_path / "cube.zarr", template, {})
    for repeat in (0, 1):
        one = made.isel(condition=0, run=0, epoch=0, repeat=repeat)
        shard = cube.Shard(
            **{variable.name: one[variable.name].to_numpy() for variable in template.variables}
        )
        cube.write_shard(tmp_path / "cube.zarr", cube.Address("model", 0, repeat, 0), shard)
    cube.validate(tmp_path / "cube.zarr")
    stored = cube.open_cube(tmp_path / "cube.zarr")
    assert set(made.data_vars) == set(stored.data_vars)
    assert set(made.coords) == set(stored.coords)
    assert set(made.indexes) == set(stored.indexes)
    for name in (*stored.data_vars, *stored.coords):
        assert made[name].dims == stored[name].dims, name
        assert made[name].dtype == stored[name].dtype, name
        assert made[name].attrs == stored[name].attrs, name
    assert made.attrs["title"] == stored.attrs["title"]
    # A cube holds all channels of a layer, and knows what its checkpoints are called.
    here, there = (found.reset_index("unit") for found in (made, stored.load()))
    others = ["channel", "checkpoint"]
    xr.testing.assert_equal(here.drop_vars(others), there.drop_vars(others))


def test_prototypes_are_selected_by_layer_and_channel(made):
    one = made.image.sel(layer="block", channel=5)
    assert one.dims == (schema.CONDITION, schema.RUN, schema.REPEAT, schema.EPOCH, *IMAGE)
    assert np.array_equal(one, made.image.isel(unit=5))
    assert made.sel(layer="stem").activation.dims[-1] == schema.CHANNEL
    assert made.sel(layer="stem").channel.values.tolist() == [0, 1, 2, 3]
    assert made.sel(repeat=1, epoch=0, run=0, condition="model").image.shape == (6, SIZE, SIZE, 3)
    assert not np.array_equal(made.image.sel(repeat=0), made.image.sel(repeat=1))


def test_what_is_stored_can_be_made_again(made, model):
    """Latents regenerate the images, images the activations."""
    flat = made.stack(one=("repeat", "unit"), create_index=False).transpose("one", ...).squeeze()
    images = torch.from_numpy(flat.image.to_numpy()).permute(0, 3, 1, 2).float() / 255
    again = Pixels(SIZE).render(torch.from_numpy(flat.latent.to_numpy()).float())
    assert (again - images).abs().max() < 0.51 / 255
    mean, std = (
        torch.tensor(value)[:, None, None] for value in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    with torch.no_grad():
        stem = model.stem((images - mean) / std)
        block = model.block[0](model.norm(stem).relu())
    expected = [
        (stem if layer == "stem" else block)[i, channel, 3, 3].item()
        for i, (layer, channel) in enumerate(zip(flat.layer.values, flat.channel.values, strict=True))
    ]
    np.testing.assert_allclose(flat.activation, expected, rtol=1e-4, atol=1e-5)


def test_the_same_call_gives_the_same_bytes(made, model):
    before = torch.get_rng_state()
    again = protoviz.synthesize(model, ["stem:0-3", "block:1,5"], **{**FEW, "repeats": 2})
    assert made.identical(again)
    assert all(made[name].to_numpy().tobytes() == again[name].to_numpy().tobytes() for name in made.data_vars)
    assert torch.equal(before, torch.get_rng_state()), "nor is anybody else's randomness touched"


@pytest.mark.parametrize("start", [{"pool": 0}, {"pool": 32, "top": 3}])
def test_a_unit_alone_is_the_same_unit_among_many(model, start):
    """To 1e-4; a value that lies between two levels may be rounded to either, and moves the response more."""
    many = protoviz.synthesize(model, ["stem", "block", "head"], start=start, **FEW)
    for layer, channel in (("stem", 2), ("block", 7), ("head", 0)):
        alone = protoviz.synthesize(model, f"{layer}:{channel}", start=start, **FEW)
        one = many.sel(layer=layer, channel=channel)
        difference = abs(alone.image.isel(unit=0).astype(int) - one.image)
        assert difference.max() <= 1
        assert difference.mean() < 0.01
        tolerance = 1e-2 if difference.any() else 1e-4
        np.testing.assert_allclose(alone.activation.isel(unit=0), one.activation, rtol=tolerance)


def test_name_run_and_epoch_decide_the_numbers(model):
    usual = protoviz.synthesize(model, "stem:0", **FEW)
    for other in ({"name": "other"}, {"run": 1}, {"epoch": 1}):
        assert not np.array_equal(usual.latent, protoviz.synthesize(model, "stem:0", **FEW, **other).latent)
    named = protoviz.synthesize(model, "stem:0", name="mine", run=3, epoch=7, **FEW)
    assert named.sel(condition="mine", run=3, epoch=7).checkpoint.item() == "epoch 7"
    assert usual.checkpoint.values.tolist() == ["as given"]


UNITS = {
    "a layer": ("head", {"head": [0, 1, 2, 3, 4]}),
    "a channel": ("stem:3", {"stem": [3]}),
    "a range": ("stem:2-4", {"stem": [2, 3, 4]}),
    "some": ("stem: 5, 0-1", {"stem": [5, 0, 1]}),
    "several": (["stem:1", "head:0-1"], {"stem": [1], "head": [0, 1]}),
    "a layer twice": (("stem:1,2", "head:0", "stem:2-3"), {"stem": [1, 2, 3], "head": [0]}),
    "a mapping": ({"stem": [4, 2], "head": None}, {"stem": [4, 2], "head": [0, 1, 2, 3, 4]}),
    "numbers": (
        {"stem": 2, "block": np.int64(3), "head": range(2)},
        {"stem": [2], "block": [3], "head": [0, 1]},
    ),
    "text in a mapping": ({"stem": "0,2-3"}, {"stem": [0, 2, 3]}),
    "an array": ({"stem": np.array([1, 1, 0])}, {"stem": [1, 0]}),
    "none of a layer": ({"stem": [], "head": [1]}, {"head": [1]}),
}


@pytest.mark.parametrize(("units", "expected"), UNITS.values(), ids=UNITS)
def test_units_may_be_written_in_many_ways(model, units, expected):
    found = protoviz.synthesize(model, units, **{**FEW, "ascent": {"steps": 0}}, start={"pool": 0})
    assert channels(found) == expected


def test_parts_of_the_recipe_can_be_changed(model):
    changes = {
        "repeats": 3,
        "objective": {"position": (1, 2), "activation": "post"},
        "start": {"pool": 16, "top": 2},
        "ascent": {"steps": 5},
        "transforms": {"jitter": 0, "scale": (1, 1), "rotation": 0},
    }
    found = protoviz.synthesize(model, "stem:0", preset="fast", **{**FEW, **changes})
    assert found.sizes[schema.REPEAT] == 3
    assert found.sizes[schema.STEP] == 6
    recorded = synthesis.Synthesis.model_validate(attributes.read(found)["synthesis"])
    assert recorded == synthesis.changed("fast", {**changes, "precision": "float32"})
    assert found.attrs["precision"] == "float32"
    image = torch.from_numpy(found.image.squeeze().to_numpy()).permute(0, 3, 1, 2) / 255
    mean, std = (
        torch.tensor(value)[:, None, None] for value in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    with torch.no_grad():
        response = model.norm(model.stem((image - mean) / std)).relu()[:, 0, 1, 2]
    np.testing.assert_allclose(found.activation.squeeze(), response, rtol=1e-4)


@pytest.mark.parametrize("preset", synthesis.PRESETS)
def test_every_preset_is_known_by_its_name(model, preset):
    few = {"evolution": {"generations": 2}, "ascent": {"steps": 1}, "start": {"pool": 0}, "repeats": 1}
    found = protoviz.synthesize(model, "stem:0", prior="pixels", size=SIZE, preset=preset, **few)
    recipe = attributes.read(found)["synthesis"]
    assert recipe["evolution"]["strategy"] == synthesis.PRESETS[preset].evolution.strategy


class Painted(nn.Module):
    """A prior with weights of its own, at half the size."""

    latent_size, image_size = 7, SIZE // 2

    def __init__(self):
        super().__init__()
        draws = torch.Generator().manual_seed(0)
        self.paint = nn.Parameter(torch.randn(7, 3 * (SIZE // 2) ** 2, generator=draws))

    def render(self, latents):
        return torch.sigmoid(latents @ self.paint).view(-1, 3, SIZE // 2, SIZE // 2)


class Plain:
    """A prior that is no module."""

    latent_size, image_size = 5, SIZE

    def __init__(self):
        self.count = 0

    def render(self, latents):
        self.count += len(latents)
        return torch.sigmoid(latents.sum(1))[:, None, None, None].expand(-1, 3, SIZE, SIZE)


@pytest.mark.parametrize(
    ("prior", "preset"), [(Painted(), "fast"), (Plain(), "fourier"), (Pixels(9), "fourier")]
)
def test_any_object_that_renders_is_a_prior(model, prior, preset):
    """Of another size than the network's, too; the preset depends on whether it has weights."""
    start = {"start": {"pool": 32}} if preset == "fast" else {}
    found = protoviz.synthesize(model, "stem:0-1", **{**FEW, **start, "prior": prior})
    assert found.sizes[schema.COMPONENT] == prior.latent_size
    assert found.image.shape[-3:] == (SIZE, SIZE, 3)
    assert attributes.read(found)["synthesis"]["start"]["sigma"] == synthesis.PRESETS[preset].start.sigma
    assert attributes.read(found)["prior"] == {"name": type(prior).__name__, "sha256": None}


def test_the_generator_of_a_study_is_read_from_its_file(model, tmp_path):
    decoder = generator.Decoder(generator.Shape(latent_size=6, width=12, image_size=SIZE))
    generator.save(tmp_path / "generator.safetensors", decoder)
    found = protoviz.synthesize(
        model,
        "stem:0",
        **{**FEW, "prior": "generator"},
        start={"pool": 16},
        weights=tmp_path / "generator.safetensors",
    )
    assert found.sizes[schema.COMPONENT] == 6


def test_the_model_and_the_prior_are_left_as_they_were(model):
    prior = Painted().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.train()
    protoviz.synthesize(model, "stem:0", **{**FEW, "prior": prior}, start={"pool": 8})
    assert model.training
    assert prior.training
    assert prior.paint.requires_grad
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    model.eval()


@pytest.mark.parametrize(
    ("name", "layer", "size"),
    [("torchvision:squeezenet1_1", "features.3.squeeze", 33), ("timm:test_vit", "blocks.0.mlp.fc1", None)],
)
def test_models_are_known_by_their_names(name, layer, size):
    """Their weights are fresh, and the same each time."""
    recipe = {**FEW, "size": size, "start": {"pool": 0}}
    first = protoviz.synthesize(name, f"{layer}:3", **recipe)
    torch.rand(3)
    second = protoviz.synthesize(name, f"{layer}:3", **recipe)
    assert first.identical(second)
    assert first.sizes["y"] == (size or 160)
    assert first.checkpoint.values.tolist() == ["untrained"]


def test_a_dataset_is_written_and_read_again(made, tmp_path):
    made.reset_index("unit").to_zarr(tmp_path / "made.zarr", consolidated=False)
    again = xr.open_zarr(tmp_path / "made.zarr", chunks=None, consolidated=False).set_xindex(
        ["layer", "channel"]
    )
    xr.testing.assert_equal(again.load(), made)
    assert again.attrs == made.attrs
    assert all(again[name].dtype == made[name].dtype for name in again.variables)
    assert again.image.sel(layer="block", channel=5).dtype == np.uint8


def broken():
    spoilt = nn.Sequential(OrderedDict(stem=nn.Conv2d(3, 6, 3)))
    with torch.no_grad():
        spoilt.stem.weight[2, 1] = torch.nan
    return spoilt


class Misfit(Plain):
    """What a prior should not be: of another latent, another size, another range, or none."""

    def __init__(self, case):
        super().__init__()
        if case == "latent":
            self.matrix = torch.ones(4, 3 * SIZE**2)
        elif case == "size":
            self.image_size = 8
        elif case == "nothing":
            self.latent_size = None
        self.case = case

    def render(self, latents):
        if self.case == "latent":
            return (latents @ self.matrix).sigmoid().view(-1, 3, SIZE, SIZE)
        images = super().render(latents)
        return 2 * images - 0.5 if self.case == "range" else images


REFUSED = {
    "layer": ({"units": "stm"}, "layer 'stm': expected one of the .* layers .*did you mean stem"),
    "channel": ({"units": "stem:6"}, "layer 'stem', channel 6: expected a channel from 0 to 5, found 6"),
    "negative channel": ({"units": {"stem": [-1]}}, "channel -1: expected a channel from 0 to 5"),
    "many channels": ({"units": "stem:0-99999999999"}, "channel 99999999999: expected a channel from 0 to 5"),
    "no units": ({"units": []}, "units: expected at least one, found none; name a layer"),
    "no channels": ({"units": {"stem": []}}, "units: expected at least one, found none"),
    "units backwards": ({"units": "stem:3-1"}, r"units 'stem:3-1': expected layer, layer:3, .*found '3-1'"),
    "units in words": ({"units": "stem:all"}, r"units 'stem:all': expected layer.*found 'all'"),
    "units by half": ({"units": {"stem": [0.5]}}, r"units 'stem: 0.5': expected .*found float"),
    "a mask": ({"units": {"stem": [True, False]}}, "units 'stem: True': expected .*found bool"),
    "units of another kind": ({"units": [3]}, "units '3': expected layer.*found int"),
    "no map": ({"objective": {"position": (1, 1)}, "units": "head:0"}, r"position \(1, 1\) in layer 'head'"),
    "a later layer without a map": (
        {"objective": {"position": (1, 1)}, "units": ["stem:0", "head:0"], "start": {"pool": 0}},
        r"position \(1, 1\) in layer 'head'",
    ),
    "position": ({"objective": {"position": (8, 0)}}, r"position \(8, 0\) in layer 'stem'"),
    "size 0": ({"size": 0}, "network, images of 0 px: expected a size that it can take"),
    "model": ({"model": 42}, "model: expected a torch.nn.Module or a name.*found int"),
    "no such library": ({"model": "tochvision:resnet18"}, "did you mean 'torchvision'"),
    "no such model": ({"model": "torchvision:resnet81"}, "model 'resnet81' of torchvision.*did you mean"),
    "no such file": ({"model": "epoch_3.safetensors"}, "model 'epoch_3.safetensors'.*found no such file"),
    "state": ({"state": "w.pt"}, "w.pt: expected a weight file, found nothing"),
    "prior": ({"prior": "pixel"}, "image prior 'pixel'.*did you mean 'pixels'"),
    "weights": ({"weights": "w.pt"}, "image prior 'pixels': expected no weights"),
    "no weights": ({"prior": "deepsim"}, "image prior 'deepsim': expected a file with its weights"),
    "weights of nothing": ({"prior": "generator", "weights": "no.safetensors"}, "no.safetensors"),
    "weights of an object": ({"prior": Plain(), "weights": "w.pt"}, "weights: expected none"),
    "latent": (
        {"prior": Misfit("latent")},
        r"prior Misfit: expected latents \(2, 5\) to render as images \(2, 3, 16, 16\).*cannot be multiplied",
    ),
    "image size": ({"prior": Misfit("size")}, r"found \(2, 3, 16, 16\), values from 0"),
    "range": ({"prior": Misfit("range")}, r"in \[0, 1\], found .* values from -0\.\d+ to 0\.5"),
    "half a prior": ({"prior": Misfit("nothing")}, "found a latent_size of None and an image_size of 16"),
    "no prior": ({"prior": 3}, "image prior int.*found a latent_size of None"),
    "preset": ({"preset": "fats"}, "preset 'fats'.*did you mean 'fast'"),
    "recipe": ({"step": 5}, "recipe: step: expected a parameter that exists"),
    "part of a recipe": ({"ascent": {"stps": 5}}, "recipe: ascent.stps: .*did you mean 'steps'"),
    "value": ({"repeats": 0}, "recipe: repeats: expected a number of at least 1"),
    "value of several types": (
        {"objective": {"position": "middle"}, "batch_size": 0},
        r"recipe: objective.position: expected 'centre', .* or a list, found 'middle' \(and 1 more\)",
    ),
    "device": ({"device": "gpu"}, "device 'gpu': expected auto, cpu, cuda"),
    "evolution": (
        {"evolution": {"strategy": "cma"}, "start": {"pool": 0}},
        "evolution strategy 'cma': expected at most 512 latent dimensions.*found 768",
    ),
    "mean": ({"mean": (0.5, 0.5)}, r"mean: expected three numbers, .*found \[0.5, 0.5\]"),
    "std": ({"std": (0.2, 0, 0.2)}, "std: expected three numbers above 0"),
}


@pytest.mark.parametrize(("wrong", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_is_refused_before_any_work(model, wrong, message):
    """No image is rendered but the two on which a given prior is checked."""
    prior = Plain()
    arguments = {"model": model, "units": "stem:0", "prior": prior, "size": SIZE, **wrong}
    if "evolution" in wrong or "weights" in wrong:
        arguments["prior"] = wrong.get("prior", "pixels")
    with pytest.raises(StudyError, match=message) as caught:
        protoviz.synthesize(**arguments)
    assert "\n" not in str(caught.value)
    assert prior.count <= 2


def test_a_network_with_nan_is_refused():
    with pytest.raises(
        StudyError, match=re.escape("network: stem.weight: expected finite weights, found 9 of 162")
    ):
        protoviz.synthesize(broken(), "stem:0", **FEW)


def test_an_image_that_is_too_small_is_refused():
    model = nn.Sequential(nn.Conv2d(3, 4, 7), nn.Conv2d(4, 4, 7))
    with pytest.raises(StudyError, match="network, images of 8 px: expected a size that it can take"):
        protoviz.synthesize(model, "0:0", **{**FEW, "size": 8})


def test_an_attribute_that_does_not_exist_is_none_of_ours():
    with pytest.raises(AttributeError, match="module 'protoviz' has no attribute 'synthesise'"):
        _ = protoviz.synthesise


def test_the_public_border():
    assert list(protoviz.__all__) == sorted(protoviz.__all__)
    assert set(protoviz.__all__) <= set(dir(protoviz))
    assert all(getattr(protoviz, name) is not None for name in protoviz.__all__)
    with pytest.raises(AttributeError, match="no attribute 'prototypes'"):
        protoviz.prototypes  # noqa: B018


@pytest.mark.parametrize(
    "name", ["PRESETS", "open_published", "atlas", "distances", "measures", "plot", "save"]
)
def test_what_needs_no_torch_does_not_import_it(name):
    code = f"import sys, protoviz; protoviz.{name}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
