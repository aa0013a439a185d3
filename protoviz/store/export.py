"""Prototypes as image files, for tools that want files, in the layout of the paper.

clrjit-1_repeat-0_epoch-0006/        a folder for each network and repeat of the synthesis
    layer3/                          a folder for each layer
        0012.png                     a prototype for each channel, as stored
        mask.png                     the receptive field, grey; white where the units look
        receptive_field.json         its size and the Gaussian that was fitted
        units.csv                    channel, file, status, activation
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from PIL import Image

from protoviz import files, layout
from protoviz.registry import lookup
from protoviz.store import channels, cube, schema, zarr_io

MASK, FIELD, UNITS = "mask.png", "receptive_field.json", "units.csv"
WIDTH_AT_HALF = 2 * float(np.sqrt(2 * np.log(2)))  # of a Gaussian, in units of its sigma


def export(store: str | Path, folder: str | Path, chosen: Mapping[str, Sequence[Any]]) -> int:
    """Write the prototypes of a cube as files, one folder after the other, each of them whole or not at all.

    Args:
        store: the cube.
        folder: where to; folders that are there already are replaced.
        chosen: dimension, or `layer` -> the labels that are wanted; dimensions that are not named are whole.

    Returns:
        The number of prototypes written.

    Raises:
        StudyError: there is no such cube, it is incomplete, or it has no such label.
    """
    cube.validate(store)
    written = 0
    with cube.open_cube(store) as prototypes:
        layers = schema.layer_slices(prototypes[schema.LAYER].to_numpy())
        for name, labels in chosen.items():
            present = list(layers) if name == schema.LAYER else prototypes[name].to_numpy().tolist()
            for label in labels:
                lookup(dict.fromkeys(map(str, present)), str(label), f"{store}: {name}")
        for position, address in cube.addresses(prototypes):
            if any(label not in chosen.get(dim, [label]) for dim, label in address._asdict().items()):
                continue
            fields = _fields(address)
            here = prototypes[list(_SHOWN)].isel(dict(zip(address._fields, position, strict=True)))
            for layer, units in layers.items():
                if layer in chosen.get(schema.LAYER, [layer]):
                    with files.complete(Path(folder) / name_of(address) / layer) as partial:
                        partial.mkdir(parents=True)
                        written += _write(partial, here.isel({schema.UNIT: units}).load())
                        if fields is not None:
                            _write_field(partial, fields.sel({schema.LAYER: layer}))
    return written


_SHOWN = (schema.IMAGE, schema.ACTIVATION, schema.STATUS)


def name_of(address: cube.Address) -> str:
    """The folder of a network and repeat."""
    item = layout.item(address.condition, address.run)
    return f"{item}_repeat-{address.repeat}_epoch-{address.epoch:04d}"


def _write(folder: Path, units: xr.Dataset) -> int:
    """Write a PNG for each unit, grey for one channel, else RGB (`channels.as_rgb`), and a table of them."""
    rows = []
    images, status = units[schema.IMAGE].to_numpy(), units[schema.STATUS].to_numpy()
    shown = images[..., 0] if images.shape[-1] == 1 else channels.as_rgb(images)
    activations = units[schema.ACTIVATION].to_numpy()
    for at, channel in enumerate(units[schema.CHANNEL].to_numpy().tolist()):
        name = f"{channel:04d}.png"
        Image.fromarray(shown[at]).save(folder / name)
        state = schema.Status(status[at]).name.lower()
        rows.append({"channel": channel, "file": name, "status": state, "activation": activations[at]})
    files.write_csv(folder / UNITS, rows)
    return len(rows)


def _fields(address: cube.Address) -> xr.Dataset | None:
    """The receptive fields of a network, one Gaussian for each layer; None where none were measured."""
    path = layout.receptive_fields(address.condition, address.run)
    if not path.exists():
        return None
    labels = {name: getattr(address, name) for name in (schema.CONDITION, schema.RUN, schema.EPOCH)}
    fields = zarr_io.open_dataset(path)
    return fields.sel(labels) if address.epoch in fields[schema.EPOCH] else None


def _write_field(folder: Path, field: xr.Dataset) -> None:
    mask = field[schema.MASK].to_numpy()
    Image.fromarray(np.rint(255 * np.clip(mask, 0, 1)).astype(np.uint8)).save(folder / MASK)
    fitted = dict(zip(schema.GAUSSIAN_PARAMETERS, field[schema.GAUSSIAN].to_numpy().tolist(), strict=True))
    whole = {name: _finite(value) for name, value in fitted.items()}
    sigmas = [whole["sigma_x"], whole["sigma_y"]]
    files.write_json(
        folder / FIELD,
        {
            "size_px": [None if sigma is None else WIDTH_AT_HALF * sigma for sigma in sigmas],
            "size": "full widths at half maximum along the axes of the Gaussian",
            "gaussian": whole,
            "r_squared": _finite(field[schema.R_SQUARED].item()),
            "fit": schema.FitStatus(field[schema.FIT_STATUS].item()).name.lower(),
        },
    )


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
