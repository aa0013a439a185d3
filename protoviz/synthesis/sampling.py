"""Which units are visualised: a sample of the channels of every convolution, found automatically (Q2, Q5)."""

from collections.abc import Mapping, Sequence

from protoviz import seeding
from protoviz.models.readout.network import Network


def convolutions(network: Network, *, squeeze_excite: bool = False) -> dict[str, int]:
    """Layer -> channels, of every convolution in the order of the network.

    Args:
        network: whose convolutions they are.
        squeeze_excite: those inside squeeze-excite blocks as well.
    """
    return {
        layer.name: layer.channels
        for layer in network.layers.values()
        if layer.convolution and (squeeze_excite or not layer.gate)
    }


def sample(layers: dict[str, int], per_layer: int | None, seed: int) -> dict[str, tuple[int, ...]]:
    """At most `per_layer` channels of every layer, in ascending order.

    The choice depends on the seed and the name of the layer alone: it is the same at every training state,
    and a larger sample holds the smaller ones.

    Args:
        layers: layer -> channels.
        per_layer: None for all.
        seed: of the choice.
    """
    return {
        layer: tuple(
            sorted(seeding.generator("units", seed, layer).permutation(channels)[:per_layer].tolist())
        )
        for layer, channels in layers.items()
    }


def some(units: Mapping[str, int | Sequence[int]], per_layer: int | None) -> dict[str, tuple[int, ...]]:
    """At most `per_layer` units of every layer, as `sample` chooses them.

    Args:
        units: layer -> number of its channels, all of which are units, or those that are.
        per_layer: None for all.
    """
    known = {layer: range(own) if isinstance(own, int) else own for layer, own in units.items()}
    places = sample({layer: len(own) for layer, own in known.items()}, per_layer, 0)
    return {layer: tuple(own[place] for place in places[layer]) for layer, own in known.items()}
