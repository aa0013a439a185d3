"""The receptive fields of one network at all its epochs: maps, fits, masks, boxes (R1..R4)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from protoviz import seeding
from protoviz.config.image_size import sides
from protoviz.config.synthesis import Objective
from protoviz.models.readout.network import Network
from protoviz.store import schema
from protoviz.synthesis.receptive_fields.expected import expected_map
from protoviz.synthesis.receptive_fields.fit import MISSING, GaussianFit, fit_gaussian
from protoviz.synthesis.receptive_fields.gradients import Estimator, layer_map, unit_maps

# Steps from 0 to the greatest value of stored masks and maps: finer than the 8 bits of the images that masks
# multiply, and files a third as large as those of all digits.
_MASK_STEPS, _MAP_STEPS = 1023, 4095


@dataclass(frozen=True)
class Method:
    """How fields are made.

    Attributes:
        estimator: of the gradient maps.
        objective: which response of a unit is meant: where in the map, before or after the non-linearity.
        per_unit: whether every unit gets a Gaussian of its own beside that of its layer.
        keep_offset: whether the fit's offset stays in the mask, as the authors' code had it.
    """

    estimator: Estimator
    objective: Objective
    per_unit: bool = False
    keep_offset: bool = False


@dataclass
class _Fitted:
    """What was made, epoch by epoch."""

    epochs: list[int] = field(default_factory=list)
    maps: list[list[NDArray[np.float32]]] = field(default_factory=list)
    fits: list[list[GaussianFit]] = field(default_factory=list)
    units: list[list[GaussianFit]] = field(default_factory=list)


def receptive_fields(
    networks: Iterable[tuple[int, Network]],
    condition: str,
    run: int,
    *,
    layers: Sequence[str],
    method: Method,
    device: torch.device | str = "cpu",
) -> xr.Dataset:
    """A Gaussian mask for every layer and checkpoint of a network, and what is the same for all networks.

    All networks see the same noise and the same signs, so masks differ only because the networks do.

    Args:
        networks: (epoch, network), in the order of the epochs; at least one. In a network whose training
            diverged, made with `finite=False`, the layers that its weights spoil have no field.
        condition: under which the networks were trained.
        run: seed of their training.
        layers: those that are read; all networks have them.
        method: how.
        device: where to compute.

    Returns:
        A data set as `schema.RECEPTIVE_FIELDS` describes.

    Raises:
        StudyError: a network has no such layer, or a layer no such position.
    """
    made = _Fitted()
    channels: dict[str, int] = {}
    common: dict[str, NDArray[Any]] = {}
    for epoch, network in networks:
        if not common:
            channels = {layer: network.layer(layer).channels for layer in layers}
            common = _common(network, layers, method.objective)
        made.epochs.append(epoch)
        _add(made, network, layers, method, device)
    attributes = {**asdict(method.estimator), "offset": "kept" if method.keep_offset else "removed"}
    return _dataset(condition, run, channels, made, common).assign_attrs(attributes)


def _add(
    made: _Fitted, network: Network, layers: Sequence[str], method: Method, device: torch.device | str
) -> None:
    """The maps and fits of one checkpoint."""
    maps, units = [], []
    for layer in layers:
        asked = network, layer, method.objective, method.estimator

        def noise(layer: str = layer) -> np.random.Generator:
            return seeding.generator("receptive field", layer)

        maps.append(layer_map(*asked, noise(), device))
        if method.per_unit:
            each = unit_maps(*asked, noise(), device)
            units += [fit_gaussian(found, method.keep_offset) for found in each]
        else:
            units += [MISSING] * network.layer(layer).channels
    made.maps.append(maps)
    made.fits.append([fit_gaussian(found, method.keep_offset) for found in maps])
    made.units.append(units)


def _common(network: Network, layers: Sequence[str], objective: Objective) -> dict[str, NDArray[Any]]:
    """What depends on the architecture alone: the box that a layer can see, and the fixed mask."""
    boxes, masks = [], []
    for layer in layers:
        box = network.box(layer, objective)
        # A unit that reads the mean, or does not reach the image by windows alone, may see all of it.
        height, width = sides(network.size)
        rows, columns = box or ((0, height), (0, width))
        boxes.append((*rows, *columns))
        masks.append(fit_gaussian(expected_map(network, layer, objective)).mask)
    return {schema.BOX: np.array(boxes), schema.FIXED_MASK: _rounded(masks, _MASK_STEPS)}


def _rounded(maps: Any, steps: int) -> NDArray[np.float32]:
    """Maps (..., y, x) of numbers from 0, each to the nearest of so many even steps to its greatest."""
    array = np.asarray(maps, dtype=np.float32)
    greatest = array.max((-2, -1), keepdims=True)
    shares = np.rint(array / np.where(greatest > 0, greatest, 1) * steps) / np.float32(steps)
    rounded: NDArray[np.float32] = shares * greatest
    return rounded


def _dataset(
    condition: str,
    run: int,
    layers: Mapping[str, int],
    made: _Fitted,
    common: Mapping[str, NDArray[Any]],
) -> xr.Dataset:
    """Everything as one data set."""

    def stored(name: str, values: Any) -> tuple[tuple[str, ...], NDArray[Any]]:
        variable = schema.RECEPTIVE_FIELDS[name]
        array = np.asarray(values, dtype=variable.dtype)
        return variable.dims, array if name in common else array[np.newaxis, np.newaxis]

    def of(fits: Sequence[Sequence[GaussianFit]], attribute: str, name: str) -> Any:
        return stored(name, [[getattr(fit, attribute) for fit in row] for row in fits])

    names, channels = schema.unit_labels(layers)
    return xr.Dataset(
        {
            schema.MASK: stored(
                schema.MASK, _rounded([[fit.mask for fit in row] for row in made.fits], _MASK_STEPS)
            ),
            schema.GRADIENT: stored(schema.GRADIENT, _rounded(made.maps, _MAP_STEPS)),
            schema.GAUSSIAN: of(made.fits, "parameters", schema.GAUSSIAN),
            schema.R_SQUARED: of(made.fits, "r_squared", schema.R_SQUARED),
            schema.FIT_STATUS: of(made.fits, "status", schema.FIT_STATUS),
            schema.UNIT_GAUSSIAN: of(made.units, "parameters", schema.UNIT_GAUSSIAN),
            schema.UNIT_R_SQUARED: of(made.units, "r_squared", schema.UNIT_R_SQUARED),
            schema.UNIT_FIT_STATUS: of(made.units, "status", schema.UNIT_FIT_STATUS),
            **{name: stored(name, values) for name, values in common.items()},
        },
        {
            schema.CONDITION: np.array([condition], dtype=schema.TEXT),
            schema.RUN: np.array([run], dtype=schema.INTEGER),
            schema.EPOCH: np.array(made.epochs, dtype=schema.INTEGER),
            schema.LAYER: np.array(list(layers), dtype=schema.TEXT),
            schema.PARAMETER: np.array(schema.GAUSSIAN_PARAMETERS, dtype=schema.TEXT),
            schema.SIDE: np.array(schema.SIDES, dtype=schema.TEXT),
            schema.UNIT_LAYER: (schema.UNIT, names),
            schema.CHANNEL: (schema.UNIT, channels),
        },
    )
