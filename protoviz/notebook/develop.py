"""The prototypes of a network at all its checkpoints, and the receptive fields that go with them."""

import contextlib
import gc
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from torch import nn

from protoviz import api, compute, files
from protoviz.config.image_size import of_sides
from protoviz.config.synthesis import Objective
from protoviz.errors import StudyError
from protoviz.models.readout.network import Network
from protoviz.models.readout.unit_spec import Units
from protoviz.notebook.series import Checkpoints, files_by_epoch
from protoviz.notebook.stores import Key, labels, layers_of, order, require_cube, texts_as_read, titled
from protoviz.progress import track
from protoviz.store import attributes, schema
from protoviz.synthesis.receptive_fields import dataset as fields
from protoviz.synthesis.receptive_fields.gradients import Estimator


def develop(
    model: nn.Module | str,
    checkpoints: Checkpoints,
    units: Units,
    *,
    epochs: Iterable[int] | None = None,
    name: str = "model",
    run: int = 0,
    **options: Any,
) -> xr.Dataset:
    """Make prototypes of units at all checkpoints of a training, with one checkpoint in memory at a time.

        >>> cube = protoviz.develop(network, "runs/a/epoch_{epoch}.safetensors", "block:0-3", size=16)
        >>> cube.epoch.values.tolist(), cube.sizes["unit"]
        ([0, 1, 3], 4)

    Files may be named one by one, and the training may have a name and a number:

        protoviz.develop(network, {0: "first.pt", 10: "last.pt"}, {"conv": [3, 5]}, name="blue", run=1)

    To make one cube of several trainings: `protoviz.join(blue, red)`.

    Args:
        model: a module, whose own weights do not matter, or the name of one, as for `protoviz.synthesize`.
        checkpoints: a mapping epoch -> file, a list of files, or a pattern in which {epoch} stands for a
            number. Files are read like `state` of `protoviz.synthesize`.
        units: as for `protoviz.synthesize`; the same at all epochs.
        epochs: for a list of files, the epoch of each; for a mapping or a pattern, the epochs to take, by
            default all.
        name: name of the condition that the network was trained under.
        run: number of the training, such as its seed.
        options: further arguments of `protoviz.synthesize`: `prior`, `size`, `device`, `repeats`, ...

    Returns:
        A Dataset with the schema of the cube, along `epoch`; units are ordered by layer, then by channel.

    Raises:
        StudyError: as for `protoviz.synthesize`, naming the checkpoint; or an epoch has none, or two.
    """
    if wrong := {"state", "epoch"} & options.keys():
        raise StudyError(
            wrong.pop(),
            expected="checkpoints and epochs",
            found="one alone",
            remedy="use `synthesize` for it",
        )
    sources = files_by_epoch(checkpoints, epochs)
    parts: list[xr.Dataset] = []
    for epoch, source in track(sources.items(), "checkpoints"):
        gc.collect()  # a traced network refers to itself, and would stay until Python collects cycles
        with of_checkpoint(epoch, source):
            part = api.synthesize(model, units, state=source, name=name, run=run, epoch=epoch, **options)
        if parts and not part.indexes[schema.UNIT].equals(parts[0].indexes[schema.UNIT]):
            raise StudyError(
                f"epoch {epoch}, {source}",
                expected="the units of the checkpoints before it",
                found="others",
                remedy="name units that all of them have",
            )
        parts.append(part)
    made: xr.Dataset = xr.concat(
        parts, schema.EPOCH, join="exact", data_vars="minimal", coords="minimal", combine_attrs="override"
    )
    made = made.isel(unit=order(made))
    names = np.array([f"epoch {epoch}" for epoch in sources], dtype=schema.TEXT)
    made[schema.CHECKPOINT] = (schema.EPOCH, names, parts[0][schema.CHECKPOINT].attrs)
    digests = {str(epoch): files.sha256(file) for epoch, file in sources.items() if file.is_file()}
    said = {"checkpoint_sha256": {f"{name}-{run}": digests}}
    return texts_as_read(made.assign_attrs(attributes.encoded(said, "prototypes")))


def receptive_fields(
    model: nn.Module | str,
    cube: xr.Dataset,
    checkpoints: Checkpoints | None = None,
    *,
    epochs: Iterable[int] | None = None,
    estimate: Literal["as-written", "paper"] = "as-written",
    noise: int = 64,
    probes: int = 8,
    per_unit: bool = False,
    offset: Literal["removed", "kept"] = "removed",
    device: str = "auto",
    **options: Any,
) -> xr.Dataset:
    """Estimate where in the image the units of a cube look: a Gaussian for each of its layers and epochs.

        >>> fields = protoviz.receptive_fields(network, cube, "runs/a/epoch_{epoch}.safetensors")
        >>> fields.box.sel(layer="block").values.tolist()  # top, bottom, left, right, px
        [5, 10, 5, 10]

    Args:
        model: the network of the cube, a module or a name.
        cube: prototypes of one condition and run.
        checkpoints: as for `protoviz.develop`; None: the model has the weights already, and the cube has one
            epoch.
        epochs: for a list of files, the epoch of each; for a mapping or a pattern, the cube's are taken.
        estimate: "as-written" or "paper", two estimates from gradients; see the page on masks.
        noise: number of noise images that gradients are averaged over.
        probes: number of random mixtures of channels that are averaged; not used by "paper".
        per_unit: whether each unit gets a Gaussian of its own, too.
        offset: whether the offset of the fitted Gaussian is "removed" from the mask or "kept" in it.
        device: "auto", "cpu", "cuda", "cuda:1", ...
        options: further arguments for the network, as for `protoviz.synthesize`: `mean`, `std`, ...

    Returns:
        A Dataset with the schema of the receptive fields.

    Raises:
        StudyError: the cube has several networks, or an epoch without a checkpoint; or the network lacks a
            layer of the cube.
    """
    cube = require_cube(cube)
    (condition, run), loaded = networks_of(model, cube, checkpoints, epochs, "receptive fields", options)
    method = fields.Method(
        Estimator(estimate, noise, probes),
        objective_of(cube),
        per_unit=per_unit,
        keep_offset=offset == "kept",
    )
    on = compute.available(device)
    found = fields.receptive_fields(
        loaded, condition, run, layers=list(layers_of(cube)), method=method, device=on
    )
    return titled(found, schema.RECEPTIVE_FIELDS, {})


def networks_of(
    model: nn.Module | str,
    cube: xr.Dataset,
    checkpoints: Checkpoints | None,
    epochs: Iterable[int] | None,
    what: str,
    options: Mapping[str, Any],
) -> tuple[Key, Iterator[tuple[int, Network]]]:
    """Condition and run of a cube of one network, and an iterator over its epochs with the network at each.

    Args:
        model: as for `receptive_fields`, like the next three.
        cube: see `model`.
        checkpoints: see `model`.
        epochs: see `model`.
        what: what is done with the checkpoints, for the progress that is shown.
        options: further arguments of `protoviz.api.network`.

    Raises:
        StudyError: the cube has several networks, or an epoch without a checkpoint.
    """
    kept = [int(epoch) for epoch in labels(cube, schema.EPOCH)]
    (condition, *others), (run, *more) = (labels(cube, name) for name in (schema.CONDITION, schema.RUN))
    if others or more:
        raise StudyError(
            "cube",
            expected="one condition and one run, those of the network",
            found=f"{1 + len(others)} x {1 + len(more)}",
            remedy="select them: cube.sel(condition=[...], run=[...])",
        )
    if checkpoints is None and len(kept) > 1:
        raise StudyError(
            "checkpoints",
            expected=f"those of epochs {kept}",
            found="none",
            remedy="give them as to `develop`",
        )
    sources: Mapping[int, Path | None] = (
        {kept[0]: None} if checkpoints is None else files_by_epoch(checkpoints, epochs)
    )
    if lost := [epoch for epoch in kept if epoch not in sources]:
        raise StudyError(
            "checkpoints", expected=f"one of epoch {lost[0]}", found=str(list(sources)), remedy="give it"
        )
    size = of_sides(cube.sizes[schema.Y], cube.sizes[schema.X])

    def loaded() -> Iterator[tuple[int, Network]]:
        for epoch in track(kept, f"{what} of checkpoints"):
            with of_checkpoint(epoch, sources[epoch]):
                network, _ = api.network(model, size=size, state=sources[epoch], **options)
            yield epoch, network
            del network
            gc.collect()  # as above

    return (str(condition), int(run)), loaded()


def objective_of(cube: xr.Dataset) -> Objective:
    """The response that the prototypes of a cube maximise."""
    recipe = attributes.read(cube).get("synthesis")
    said = recipe.get("objective") if isinstance(recipe, dict) else None
    return Objective.model_validate(said) if said else Objective(position="centre", activation="pre")


@contextlib.contextmanager
def of_checkpoint(epoch: int, source: Path | None) -> Iterator[None]:
    """Name the checkpoint in the message of a StudyError that is raised within the block."""
    try:
        yield
    except StudyError as error:
        where = f"epoch {epoch}" if source is None else f"epoch {epoch}, {source}"
        said = {"expected": error.expected, "found": error.found, "remedy": error.remedy}
        raise StudyError(f"{where}: {error.where}", **said) from error
