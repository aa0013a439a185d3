"""Prototypes and natural images along the layers: a slow oracle, planted networks, nulls, what is missing."""

import itertools

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from protoviz.config.synthesis import Objective
from protoviz.models import resnet
from protoviz.models.readout.network import Network
from protoviz.synthesis.responses.faithfulness import Along, inner_layers
from protoviz.synthesis.responses.forward import all_responses, seen
from protoviz.synthesis.responses.measures import strongest
from tests.reference import fooling

CPU = torch.device("cpu")
CENTRE = Objective(position="centre", activation="pre")
SIZE, PHOTOGRAPHS = 48, 14


def measured(network, layer, inner, prototypes, photographs, top, *, elements=10**9, batch=8, live=None):
    live = np.ones(prototypes.shape[:2], bool) if live is None else live
    how = Along(inner, CENTRE, elements, batch, CPU)
    return how.measure(network, layer, prototypes, live, photographs, top)


@pytest.fixture(scope="module")
def model():
    """A network in which normalisation changes something."""
    made = resnet.initial("resnet18", 4, seed=1).eval().requires_grad_(False)
    rng = torch.Generator().manual_seed(3)
    for part in made.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.3, generator=rng)
            part.running_var.uniform_(0.5, 2, generator=rng)
    return made


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (PHOTOGRAPHS + 16, SIZE, SIZE, 3), dtype=np.uint8)


NORMALS = {"conv1": "bn1", "conv2": "bn2", "0": "1"}


def literal_values(model, images, layer):
    """Image after image through the whole network: name -> values (N, ...).

    After each convolution's normalisation, within what the units at the centre of a layer depend on by their
    gradients; and the units themselves.
    """
    kept = {}
    paths = [name for name, part in model.named_modules() if isinstance(part, nn.Conv2d)]
    normals = {}
    for name in paths:
        parent, _, own = name.rpartition(".")
        normals[name] = f"{parent}.{NORMALS[own]}" if parent else NORMALS[own]
    handles = []
    for name, normal in normals.items():

        def keep(_part, _given, output, name=name):
            kept[name] = output
            return output.clone()  # which the network may overwrite

        handles.append(model.get_submodule(normal).register_forward_hook(keep))
    values, seen = {name: [] for name in [*paths, layer]}, {}
    for image in images:
        pixels = torch.from_numpy(image / 255.0).float().permute(2, 0, 1)[None].requires_grad_(True)
        maps = model.pre_activation(resnet.normalise(pixels), layer)
        row, column = ((extent - 1) // 2 for extent in maps.shape[2:])
        units = maps[0, :, row, column]
        there = [name for name in paths if name in kept]
        for unit in units:
            found = torch.autograd.grad(unit, [kept[n] for n in there], retain_graph=True, allow_unused=True)
            for name, gradient in zip(there, found, strict=True):
                if gradient is not None:
                    seen[name] = seen.get(name, 0) + gradient[0].abs().sum(0)
        for name in there:
            values[name].append(kept[name][0].detach().clone())
        values[layer].append(units.detach())
        kept.clear()
    for handle in handles:
        handle.remove()
    cut = {layer: torch.stack(values[layer]).numpy()}
    for name, depends in seen.items():
        rows, columns = (np.flatnonzero((depends > 0).any(axis).numpy()) for axis in (1, 0))
        window = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        cut[name] = torch.stack(values[name])[:, :, *window].flatten(1).numpy()
    return cut


def spearman(first, second):
    return float(stats.spearmanr(first, second).statistic)


@pytest.mark.parametrize("layer", ["layer1", "layer2"])
def test_agrees_with_loops_over_the_whole_network(layer, model, pictures):
    units = model.units[layer]
    rng = np.random.default_rng(4)
    top = np.array([rng.permutation(PHOTOGRAPHS)[:3] for _ in range(units)])
    photographs, prototypes = pictures[:PHOTOGRAPHS], pictures[PHOTOGRAPHS:][:units]
    network = Network(model, SIZE)
    inner = [name for name in inner_layers(network, [layer]) if name != layer] + [layer]
    found = measured(network, layer, inner, prototypes[None], photographs, top)
    shown = np.concatenate([photographs, prototypes])
    wanted_values = literal_values(model, shown, layer)
    compute, window = network.along(layer, inner, CENTRE, torch.float32, CPU)
    with torch.inference_mode():
        values = {
            name: of.flatten(1).numpy() for name, of in compute(seen(network, shown, window, CPU)).items()
        }
    assert set(values) == set(wanted_values)
    for name, of in values.items():  # to rounding, which may exchange two ranks: these are taken from here
        np.testing.assert_allclose(of, wanted_values[name], rtol=1e-3, atol=1e-4)
    assert set(values) == {inner[at] for at in np.flatnonzero(np.isfinite(found.similarity).any((0, 1)))}
    scales = {}
    for name, of in values.items():
        at = inner.index(name)
        for unit, mine in enumerate(top):
            others = [k for k in np.unique(top) if k not in mine]
            pairs = [spearman(of[a], of[b]) for a, b in itertools.combinations(mine, 2)]
            assert found.own[unit, at] == pytest.approx(np.mean(pairs), abs=1e-5), name
            pairs = [spearman(of[a], of[b]) for a in mine for b in others]
            assert found.unrelated[unit, at] == pytest.approx(np.mean(pairs), abs=1e-5), name
            pairs = [spearman(of[a], of[PHOTOGRAPHS + unit]) for a in mine]
            assert found.similarity[0, unit, at] == pytest.approx(np.mean(pairs), abs=1e-5), name
        apart = found.own[:, at] - found.unrelated[:, at]
        low = stats.ttest_1samp(apart, 0).confidence_interval(0.99).low
        if low > 0:
            scales[at] = apart.mean()
            wanted = (found.similarity[0, :, at] - found.unrelated[:, at]) / scales[at]
            np.testing.assert_allclose(found.along[0, :, at], wanted, rtol=1e-6)
        else:
            assert np.isnan(found.along[0, :, at]).all()
    assert found.compared == len(scales)
    if scales:
        weighted = [np.average(one[list(scales)], weights=list(scales.values())) for one in found.along[0]]
        np.testing.assert_allclose(found.faithfulness[0], weighted, rtol=1e-6)


def planted(fooled):
    module, photographs, prototypes = fooling.planted(fooled)
    network = Network(module, fooling.SIZE, [0.5] * 3, [30 / 255] * 3)
    responses = all_responses(network, ["unit"], CENTRE, photographs, batch=64, device=CPU)["unit"]
    answers = all_responses(network, ["unit"], CENTRE, prototypes, batch=64, device=CPU)["unit"]
    top = strongest(responses, fooling.PHOTOGRAPHS)[0]
    inner = inner_layers(network, ["paths", "unit"])
    return network, inner, prototypes, photographs, top, responses, answers


def test_an_ordinary_network_is_near_one_and_a_fooled_one_near_zero():
    found = {}
    for fooled in (False, True):
        network, inner, prototypes, photographs, top, responses, answers = planted(fooled)
        assert inner == ["paths.photographs", "paths.prototypes", "paths", "unit"]
        # By their responses alone, both prefer their prototypes: near or above the strongest photographs.
        assert (answers.argmax(0) == np.arange(fooling.UNITS)).mean() > 0.9
        assert np.median(answers.diagonal() / responses.max(0)) > 0.8
        found[fooled] = measured(network, "unit", inner, prototypes[None], photographs, top)
    assert found[False].faithfulness.mean() == pytest.approx(1, abs=0.1)
    assert found[True].faithfulness.mean() == pytest.approx(0, abs=0.1)
    assert found[False].faithfulness.min() > 0.7
    assert found[True].faithfulness.max() < 0.5
    for one in found.values():
        assert np.isnan(one.along[..., 1]).all(), "photographs leave the path of prototypes silent: no scale"
        assert one.compared == 3


def test_unrelated_photographs_in_place_of_prototypes_are_near_zero():
    """In 200 studies; with the standard error that the units of each give."""
    network, inner, _, photographs, top, _, _ = planted(False)
    rng, means, beyond = np.random.default_rng(2), [], []
    for _ in range(20):
        chosen = np.empty((10, fooling.UNITS), int)
        for repeat, unit in np.ndindex(chosen.shape):
            chosen[repeat, unit] = rng.choice(np.setdiff1d(np.unique(top), top[unit]))
        found = measured(network, "unit", inner, photographs[chosen], photographs, top).faithfulness
        error = found.std(1, ddof=1) / np.sqrt(fooling.UNITS)
        means += found.mean(1).tolist()
        beyond += (np.abs(found.mean(1)) > stats.t.ppf(0.975, fooling.UNITS - 1) * error).tolist()
    assert np.mean(means) == pytest.approx(0, abs=3 * np.std(means) / np.sqrt(len(means)))
    assert np.mean(beyond) == pytest.approx(0.05, abs=0.05)


def test_own_photographs_left_out_are_near_one():
    network, inner, _, photographs, _, _, _ = planted(False)
    mine = np.arange(len(photographs)).reshape(fooling.UNITS, -1)
    found = measured(
        network, "unit", inner, photographs[mine[:, :1]].swapaxes(0, 1), photographs, mine[:, 1:]
    )
    assert found.faithfulness.mean() == pytest.approx(1, abs=0.1)


def test_what_a_unit_does_not_see_does_not_matter(model, pictures):
    """A prototype is optimised within the receptive field alone; elsewhere it may be anything."""
    network = Network(model, 2 * SIZE)
    inner = inner_layers(network, list(model.units))
    large = np.tile(pictures, (1, 2, 2, 1))
    photographs, prototypes = large[:PHOTOGRAPHS], large[PHOTOGRAPHS:][None, :4]
    top = np.arange(12).reshape(4, 3)
    found = measured(network, "layer1", inner, prototypes, photographs, top)
    around = prototypes.copy()
    (above, below), (left, right) = network.box("layer1", CENTRE)
    assert above > 0
    assert right < 2 * SIZE
    outside = np.ones((2 * SIZE, 2 * SIZE), bool)
    outside[above:below, left:right] = False
    around[:, :, outside] = 0
    assert (around != prototypes).any()
    other = measured(network, "layer1", inner, around, photographs, top)
    np.testing.assert_array_equal(found.similarity, other.similarity)


def test_blocks_and_elements(model, pictures):
    network = Network(model, SIZE)
    inner = inner_layers(network, list(model.units))
    args = (network, "layer2", inner, pictures[PHOTOGRAPHS:][None, :8], pictures[:PHOTOGRAPHS])
    top = np.array([np.arange(k, k + 3) % PHOTOGRAPHS for k in range(8)])
    one, other = (measured(*args, top, batch=batch) for batch in (3, 64))
    np.testing.assert_allclose(one.similarity, other.similarity, atol=1e-5)
    few, again = (measured(*args, top, elements=400) for _ in range(2))
    np.testing.assert_array_equal(few.similarity, again.similarity)
    assert np.nanmax(np.abs(few.similarity - one.similarity)) < 0.2
    assert np.nanmax(np.abs(few.similarity - one.similarity)) > 0


class Untraceable(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images):
        if images.sum() < -1e9:  # a graph cannot know
            return images
        return self.model(images)


def test_a_network_without_a_graph_is_read_whole(model, pictures):
    network = Network(Untraceable(model), SIZE)
    assert not network.is_traced
    inner = [f"model.{name}" for name in ("layer2", "layer1", "layer3")]
    inner = [name for name in network.order if name in inner]
    assert inner == ["model.layer1", "model.layer2", "model.layer3"]
    top = np.array([np.arange(k, k + 3) for k in range(8)])
    args = (pictures[PHOTOGRAPHS:][None, :8], pictures[:PHOTOGRAPHS], top)
    found = measured(network, "model.layer2", inner, *args)
    assert np.isfinite(found.similarity).all((0, 1)).tolist() == [True, True, False]
    maps = []
    for image in np.concatenate([pictures[:PHOTOGRAPHS], pictures[PHOTOGRAPHS:][:8]]):
        pixels = torch.from_numpy(image / 255.0).float().permute(2, 0, 1)[None]
        maps.append(model.pre_activation(resnet.normalise(pixels), "layer1").flatten().numpy())
    wanted = np.mean([spearman(maps[a], maps[PHOTOGRAPHS + 5]) for a in top[5]])
    assert found.similarity[0, 5, 0] == pytest.approx(wanted, abs=1e-5)


def test_of_many_layers_those_of_the_study_alone(model):
    network = Network(model, SIZE)
    every = inner_layers(network, list(model.units))
    assert every[0] == "conv1"
    assert every[-1] == "layer4"
    assert "layer2.0.downsample.0" in every
    assert "layer2.0" not in every, "composed"
    assert len(every) == 20 + 4
    six = ["conv1", "layer1", "layer2", "layer3", "layer4", "layer4.1.conv1"]
    assert inner_layers(network, six) == ["conv1", "layer1", "layer2", "layer3", "layer4.1.conv1", "layer4"]


def test_one_photograph_no_prototype_no_other_photograph():
    network, inner, prototypes, photographs, top, _, _ = planted(False)
    live = np.ones((1, fooling.UNITS), bool)
    live[0, 3] = False
    found = measured(network, "unit", inner, prototypes[None], photographs, top, live=live)
    assert np.isnan(found.faithfulness[0, 3])
    assert np.isfinite(np.delete(found.faithfulness, 3)).all()
    one = measured(network, "unit", inner, prototypes[None], photographs, top[:, :1])
    assert np.isfinite(one.similarity[..., 0]).all(), "what can be computed is"
    assert np.isnan(one.faithfulness).all()
    assert one.compared == 0
    same = measured(network, "unit", inner, prototypes[None], photographs, np.zeros_like(top) + np.arange(5))
    assert np.isnan(same.unrelated).all()
    assert np.isnan(same.faithfulness).all()
