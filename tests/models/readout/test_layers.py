"""What a module's output offers, and where it is read."""

import pytest
from torch import nn

from protoviz.errors import StudyError
from protoviz.models.readout.layers import Layer, centre, is_channels_last, layer_of, require_position


def of(kind, *shape):
    return Layer("here", "Conv2d", kind, 8, shape, True, True)


@pytest.mark.parametrize(
    ("module", "shape", "expected"),
    [
        (nn.Conv2d(3, 8, 3), (8, 5, 6), ("map", 8, (5, 6), True, False)),
        (nn.MaxPool2d(2), (8, 8, 5), ("map", 8, (8, 5), False, False)),
        (nn.Linear(4, 10), (10,), ("vector", 10, (), True, False)),
        (nn.Linear(4, 10), (50, 10), ("tokens", 10, (50,), True, False)),
        (nn.Linear(4, 10), (7, 6, 10), ("map", 10, (7, 6), True, True)),
        (nn.LayerNorm(10), (7, 7, 10), ("map", 10, (7, 7), False, True)),
        (nn.Sequential(nn.LayerNorm(10), nn.Linear(10, 10)), (7, 7, 10), ("map", 10, (7, 7), True, True)),
        (
            nn.Sequential(nn.Linear(10, 10), nn.Unflatten(1, (5, 1))),
            (4, 7, 7),
            ("map", 4, (7, 7), True, False),
        ),
        (nn.Sequential(nn.Conv2d(3, 7, 1)), (7, 7, 10), ("map", 7, (7, 10), True, False)),
    ],
)
def test_channels_and_extent_of_an_output(module, shape, expected):
    layer = layer_of("here", module, shape, is_channels_last(module, shape, (224, 224)))
    assert (layer.kind, layer.channels, layer.shape, layer.weighted, layer.channels_last) == expected
    assert (layer.name, layer.type) == ("here", type(module).__name__)


@pytest.mark.parametrize("module", [nn.Dropout(), nn.Identity()])
def test_modules_without_channels_of_their_own_are_no_layers(module):
    assert layer_of("here", module, (8, 5, 5), False) is None


@pytest.mark.parametrize("shape", [(), (2, 3, 4, 5)])
def test_numbers_and_volumes_are_no_layers(shape):
    assert layer_of("here", nn.Conv2d(3, 8, 3), shape, False) is None


@pytest.mark.parametrize(
    ("layer", "position"),
    [
        *[(of("map", side, side), (at, at)) for side, at in ((24, 11), (12, 5), (6, 2), (3, 1), (1, 0))],
        (of("map", 5, 8), (2, 3)),
        (of("vector"), ()),
        (of("tokens", 196), (6 * 14 + 6,)),
        (of("tokens", 197), (1 + 6 * 14 + 6,)),  # a class token
        (of("tokens", 198), (2 + 6 * 14 + 6,)),  # and one of distillation
        (of("tokens", 201), (5 + 6 * 14 + 6,)),  # and four registers
        (of("tokens", 50), (1 + 3 * 7 + 3,)),
        (of("tokens", 1), (0,)),
    ],
    ids=str,
)
def test_the_centre_is_the_paper_s_and_that_of_the_patches(layer, position):
    assert centre(layer) == position
    assert require_position(layer, position) == position


@pytest.mark.parametrize(
    ("layer", "position", "expected"),
    [
        (of("map", 5, 8), (5, 0), "a row below 5 and a column below 8, found \\(5, 0\\)"),
        (of("map", 5, 8), (0, 8), "a row below 5"),
        (of("map", 5, 8), (0,), "a row below 5"),
        (of("map", 5, 8), (-1, 0), "a row below 5"),
        (of("tokens", 50), (50,), "a token below 50, found \\(50,\\)"),
        (of("tokens", 50), (0, 0), "a token below 50"),
        (of("vector"), (0,), "none, as it has no map"),
    ],
    ids=str,
)
def test_positions_outside_of_a_layer_are_refused(layer, position, expected):
    with pytest.raises(StudyError, match=f"in layer 'here': expected {expected}"):
        require_position(layer, position)
