"""Responses of units, slowly and literally: the whole network is run, and hooks keep what passes a module.

A layer's value is named by a module and a side of it: what the module "returned" or what it was "given".
A ReLU shared by a block is called several times; the last call ends the block.
"""

import torch
from torch import nn

from protoviz.config.synthesis import Objective

BEFORE, AFTER = "given", "returned"


def prepared(network: nn.Module) -> nn.Module:
    """A network in evaluation mode, with weights as after training where it begins with ones and zeros."""
    draws = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.affine:
                for tensor in (module.running_mean, module.running_var, module.weight, module.bias):
                    tensor.copy_(0.5 + torch.rand(tensor.shape, generator=draws))
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.1, generator=draws)
    return network.eval()


def values(network: nn.Module, images: torch.Tensor, places: list[tuple[str, str]]) -> list[torch.Tensor]:
    """What passed each place, (module, side), in one forward pass of the whole network."""
    kept = {}

    def keep(place):
        def before(_module, given):
            kept[place] = given[0].clone()  # it may be overwritten

        def after(_module, _given, output):
            kept[place] = output.clone()

        name, side = place
        module = network.get_submodule(name)
        if side == BEFORE:
            return module.register_forward_pre_hook(before)
        return module.register_forward_hook(after)

    handles = [keep(place) for place in places]
    network(images.clone())
    for handle in handles:
        handle.remove()
    return [kept[place] for place in places]


def read(values: torch.Tensor, position: tuple[int, ...] | None) -> torch.Tensor:
    """All channels (B, C) at a position of a map (B, C, H, W), of tokens (B, T, C), or of a vector (B, C).

    `position` is a row and a column, a token, () of a vector, or None for the mean over all positions.
    """
    places = {
        4: lambda: values.flatten(2).transpose(1, 2),
        3: lambda: values,
        2: lambda: values[:, None],
    }[values.ndim]()
    if position is None:
        return places.mean(1)
    index = 0
    for at, extent in zip(
        position, values.shape[2:] if values.ndim == 4 else values.shape[1:2], strict=False
    ):
        index = index * extent + at
    return places[:, index]


def assert_same(network, plain, places, activation):
    """Both ways to read layers, all columns and single units, give what the whole network does, to 1e-4.

    At the centre, at two corners, where padding matters, and on average.

    Args:
        network: the prepared network.
        plain: the module it was made from.
        places: layer -> module and side in `plain`, or what computes its values from (plain, images).
        activation: "pre" or "post".
    """
    images = torch.randn(3, 3, network.size, network.size, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        expected = {
            layer: place(plain, images) if callable(place) else values(plain, images, [place])[0]
            for layer, place in places.items()
        }
        for position in ("centre", "mean", (0, 0), (0,)):
            _assert_columns(network, images, expected, Objective(position=position, activation=activation))
        for layer, whole in expected.items():
            last = tuple(extent - 1 for extent in network.layers[layer].shape)
            for position in ("centre", "mean", (0,) * len(last), last):
                objective = Objective(position=position or "centre", activation=activation)
                _assert_units(network, images, layer, whole, objective)


def _assert_columns(network, images, expected, objective):
    """All channels of all layers that have the position, read at once."""
    kinds = {(0, 0): ("map",), (0,): ("tokens",)}.get(objective.position, ("map", "tokens", "vector"))
    layers = [layer for layer in expected if network.layers[layer].kind in kinds]
    if layers:
        columns, window = network.columns(layers, objective, torch.float32, torch.device("cpu"))
        found = columns(cut(images, window))
        assert set(found) == set(layers)
        for layer in layers:
            _assert_close(found[layer], expected[layer], network, layer, objective)


def _assert_units(network, images, layer, whole, objective):
    """Several channels, each image its own."""
    readout = network.readout(layer, objective, torch.float32, torch.device("cpu"))
    last = network.layers[layer].channels - 1
    channels = [0, last, last // 2]
    found = readout(cut(images, readout.window), torch.tensor(channels))
    _assert_close(found, whole, network, layer, objective, channels)


def _assert_close(found, whole, network, layer, objective, channels=None):
    expected = read(whole, network.position(layer, objective))
    if channels:
        expected = expected[range(len(channels)), channels]
    torch.testing.assert_close(
        found,
        expected,
        rtol=1e-4,
        atol=1e-4 * max(1.0, whole.abs().max().item()),
        msg=lambda text: f"{layer} {objective}, channels {channels or 'all'}: {text}",
    )


def cut(images, window):
    (top, bottom), (left, right) = window
    return images[:, :, top:bottom, left:right]
