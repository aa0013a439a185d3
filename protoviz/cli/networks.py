"""The commands `units` and `synthesize`: call the notebook's functions, print and write their results."""

import json
import os
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from protoviz.errors import StudyError

if TYPE_CHECKING:
    import xarray as xr

SHEET, STORE = "units.png", "prototypes.zarr"


def units(arguments: Namespace) -> None:
    """Print the layers of a network as a table.

    Raises:
        StudyError: see `notebook.units`.
    """
    from protoviz import api
    from protoviz.config.image_size import named

    network, _ = api.network(arguments.model, size=arguments.size, arguments=keywords(arguments.arg))
    layers = [layer for layer in network.layers.values() if layer.weighted or arguments.all]
    rows = [
        (
            layer.name,
            layer.type,
            layer.kind + " (gate)" * layer.gate,
            str(layer.channels),
            " x ".join(map(str, layer.shape)) or "-",
        )
        for layer in layers
    ]
    print_table(("layer", "type", "kind", "channels", "map"), rows)
    print(f"{len(layers)} layers, {sum(layer.channels for layer in layers):,} units at {named(network.size)}")


def synthesize(arguments: Namespace) -> None:
    """Make prototypes; write each as a PNG, all on one sheet, and as a Zarr store; print their activations.

    Raises:
        StudyError: see `notebook.synthesize`; or the folder cannot be written to.
    """
    folder = Path(arguments.out)
    require_folder(folder)

    from protoviz import api
    from protoviz.store import schema, zarr_io

    changes: dict[str, Any] = {}
    masked = arguments.mask == "transparency"
    if masked:
        changes["keep_transparency"] = True
    if arguments.repeats is not None:
        changes["repeats"] = arguments.repeats
    if arguments.steps is not None:
        changes["ascent"] = {"steps": arguments.steps}
    made = api.synthesize(
        arguments.model,
        arguments.units,
        prior=arguments.prior,
        weights=arguments.weights,
        state=arguments.state,
        key=arguments.key,
        prefix=arguments.prefix,
        arguments=keywords(arguments.arg),
        preset=arguments.preset,
        size=arguments.size,
        device=arguments.device,
        **changes,
    ).reset_index(schema.UNIT)
    zarr_io.write_dataset(folder / STORE, made, schema.CUBE)
    if "weights" in made.attrs:
        print(f"{arguments.state}: {made.attrs['weights']}")
    rows = _write_pictures(folder, made, masked=masked)
    print_table(("layer", "channel", "repeat", "activation", "status", "file"), rows)
    print(f"{folder / SHEET} shows all of them, {folder / STORE} holds them")


def _write_pictures(folder: Path, made: "xr.Dataset", *, masked: bool = False) -> list[tuple[str, ...]]:
    """Write every prototype as a file of its own and all on one sheet, masked or not; return a line about
    each.

    Images of one channel are shown as grey; of other images that are not RGB, the first three channels.
    """
    import numpy as np
    from PIL import Image

    from protoviz import files
    from protoviz.cli.contact_sheet import contact_sheet
    from protoviz.store import channels, schema

    first = made.isel({schema.CONDITION: 0, schema.RUN: 0, schema.EPOCH: 0})
    arrays = first.transpose(schema.UNIT, schema.REPEAT, ...)
    images = channels.as_rgb(arrays[schema.IMAGE].to_numpy())
    activations = arrays[schema.ACTIVATION].to_numpy()
    captions: list[str] = []
    rows: list[tuple[str, ...]] = []
    for unit, repeat in np.ndindex(activations.shape):
        layer, channel = str(made[schema.LAYER].item(unit)), made[schema.CHANNEL].item(unit)
        number = made[schema.REPEAT].item(repeat)
        status = schema.Status(arrays[schema.STATUS].item((unit, repeat)))
        name = f"{layer.replace(os.sep, '-')}_{channel}_{number}.png"
        with files.complete(folder / name) as partial:
            Image.fromarray(images[unit, repeat]).save(partial, "PNG")
        named = status.name.lower()
        which = f"{layer}:{channel}" if activations.shape[1] == 1 else f"{layer}:{channel} ({number})"
        captions.append(which if status == schema.Status.CONVERGED else f"{which} {named}")
        rows.append((layer, str(channel), str(number), f"{activations[unit, repeat]:.4g}", named, name))
    layers = made[schema.LAYER].to_numpy().tolist()
    groups = [layers.count(layer) * activations.shape[1] for layer in dict.fromkeys(layers)]
    opacities = arrays[schema.TRANSPARENCY].to_numpy().reshape(-1, *images.shape[2:4]) if masked else None
    with files.complete(folder / SHEET) as partial:
        sheet = contact_sheet(images.reshape(-1, *images.shape[2:]), captions, groups, opacities)
        sheet.save(partial, "PNG")
    return rows


def keywords(given: Sequence[str]) -> dict[str, Any]:
    """Keyword arguments from "name=value"; a value that is JSON is parsed, any other is text.

    Raises:
        StudyError: one of them has another form.
    """
    found: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise StudyError(
                f"--arg {text}", expected="NAME=VALUE", found=text, remedy="write it as num_classes=10"
            )
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def require_folder(folder: Path) -> None:
    """Check that files can be written there, before any time is spent.

    Raises:
        StudyError: it is not a folder, or it is not writable.
    """
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise StudyError(
            f"--out {folder}",
            expected="a folder that can be written to",
            found="a file" if not existing.is_dir() else f"no permission to write to {existing}",
            remedy="name another one",
        )


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns that are as wide as their longest entry; numbers are aligned to the right."""
    columns = list(zip(header, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    numeric = [all(_is_number(entry) for entry in column[1:]) for column in columns]
    for row in (header, *rows):
        cells = zip(row, widths, numeric, strict=True)
        line = "  ".join(text.rjust(width) if right else text.ljust(width) for text, width, right in cells)
        print(line.rstrip())


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
