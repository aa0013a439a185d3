"""Plot a cube and its measures on Matplotlib axes, given or new; each function returns its axes.

    axes = protoviz.plot.sheet(cube, "layer4")                    # all units of a layer at one epoch
    axes = protoviz.plot.development(cube, "layer4", [0, 1, 5])   # units in rows, epochs in columns
    axes = protoviz.plot.curves(measures, "diversity", "layer4")  # a measure along training

The plots are those of the study's figures (protoviz/report/figures), without their frame.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from protoviz.analysis import metrics
from protoviz.errors import StudyError
from protoviz.notebook.stores import labels, layers_of, of_network, require_cube
from protoviz.report.figures.panels import Curve, draw_lines, epoch_axis, interval_axis
from protoviz.report.figures.pictures import Images, hatched, mosaic
from protoviz.report.figures.sample import Drawn, Sample
from protoviz.report.figures.style import FAINT, colours, count, end_labels, styled
from protoviz.store import schema

ROWS = 8  # units that `development` shows if none are named
INCH = 1.0  # width of a picture on new axes; the greatest width of a figure comes next
WIDEST = 12.0


@styled
def sheet(
    cube: xr.Dataset,
    layer: str | None = None,
    *,
    epoch: int | None = None,
    condition: str | None = None,
    run: int | None = None,
    repeat: int | None = None,
    receptive_fields: xr.Dataset | None = None,
    columns: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Plot all prototypes of a layer at one epoch, side by side in rows, in the order of their channels.

        >>> protoviz.plot.sheet(cube, "block", epoch=3, receptive_fields=fields).get_title("left")
        'block, epoch 3, 4 units'

    Args:
        cube: prototypes.
        layer: layer of the cube; by default its first.
        epoch: epoch of the cube; by default its last.
        condition: condition of the cube; by default its first, as for run and repeat.
        run: see `condition`.
        repeat: see `condition`.
        receptive_fields: receptive fields that mask the prototypes; None: they are shown in full.
        columns: number of columns; by default as many as rows.
        ax: axes to draw on; by default new ones.

    Returns:
        The axes. A unit without a prototype (dead or diverged) is hatched.

    Raises:
        StudyError: the cube has no such layer, epoch, condition, run or repeat.
    """
    sample, layer, condition = _sample(cube, layer, condition, run, repeat, receptive_fields)
    epoch = sample.epochs[-1] if epoch is None else epoch
    _require("epoch", epoch, sample.epochs)
    channels = sample.channels()[layer]
    shown = _shown(sample.draw(condition, epoch, layer, channels), sample.size)
    columns = columns or int(np.ceil(np.sqrt(len(channels))))
    picture = mosaic(shown, min(columns, len(channels)), (1, 1))
    ax = _axes(ax, min(columns, len(channels)), -(-len(channels) // columns))
    ax.imshow(picture, interpolation="none")
    ax.set_axis_off()
    ax.set_title(f"{layer}, {sample.checkpoint(epoch)}, {count(len(channels), 'unit')}")
    return ax


@styled
def development(
    cube: xr.Dataset,
    layer: str | None = None,
    channels: Sequence[int] | None = None,
    *,
    condition: str | None = None,
    run: int | None = None,
    repeat: int | None = None,
    receptive_fields: xr.Dataset | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Plot how units develop: a row for each unit, a column for each epoch.

        >>> protoviz.plot.development(cube, "block", [0, 3]).get_xlabel()
        'epoch'

    Args:
        cube: prototypes.
        layer: layer of the cube; by default its first.
        channels: channels of the layer; by default its first eight.
        condition: condition of the cube; by default its first, as for run and repeat.
        run: see `condition`.
        repeat: see `condition`.
        receptive_fields: receptive fields that mask the prototypes; None: they are shown in full.
        ax: axes to draw on; by default new ones.

    Returns:
        The axes, with epochs along x and channels along y. A unit without a prototype is hatched.

    Raises:
        StudyError: the cube has no such layer, channel, condition, run or repeat.
    """
    sample, layer, condition = _sample(cube, layer, condition, run, repeat, receptive_fields)
    known = sample.channels()[layer]
    rows = known[:ROWS] if channels is None else [int(channel) for channel in channels]
    for channel in rows:
        _require(f"channel of {layer}", channel, known)
    if not rows:
        raise StudyError("channels", expected="at least one", found="none", remedy=f"name some of {layer}")
    pictures = [_shown(sample.draw(condition, epoch, layer, rows), sample.size) for epoch in sample.epochs]
    grown = np.stack(pictures, axis=1)
    ax = _axes(ax, len(sample.epochs), len(rows))
    ax.imshow(mosaic(grown.reshape(-1, *grown.shape[2:]), len(sample.epochs), (1, 1)), interpolation="none")
    step, middle = sample.size + 1, (sample.size - 1) / 2
    ax.set_xticks(middle + step * np.arange(len(sample.epochs)), [str(epoch) for epoch in sample.epochs])
    ax.set_yticks(middle + step * np.arange(len(rows)), [str(channel) for channel in rows])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("epoch")
    ax.set_ylabel("channel")
    ax.set_title(f"{layer}, {condition}")
    return ax


@styled
def curves(
    measures: xr.Dataset,
    measure: str = "diversity",
    layer: str | None = None,
    *,
    embedder: str | None = None,
    distance: str | None = None,
    masking: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Plot a measure along training: conditions in colours, a line for each run and repeat, a thick mean.

        >>> protoviz.plot.curves(protoviz.measures(cube), "rate_of_change", "block").get_ylabel()
        'rate of change'

    Args:
        measures: the result of `protoviz.measures`.
        measure: "diversity", "rate_of_change", "consistency", ...
        layer: by default the first.
        embedder: by default the first.
        distance: "mse" (by default) or "cosine".
        masking: "masked", "fixed" or "unmasked"; by default "masked", if there were receptive fields.
        ax: axes to draw on; by default new ones.

    Returns:
        The axes.

    Raises:
        StudyError: there is no such measure, layer or space; the message says why, if that is known.
    """
    along = [str(n) for n, v in measures.data_vars.items() if {schema.EPOCH, schema.STEP} & set(v.dims)]
    if measure not in along:
        absent = str(measures.attrs.get("absent", ""))
        why = next((part for part in absent.split("; ") if part.startswith(f"{measure}: ")), repr(measure))
        expected = f"one of {', '.join(along)}"
        raise StudyError("measure", expected=expected, found=why, remedy="name one of these")
    chosen = {schema.EMBEDDER: embedder, schema.DISTANCE: distance, schema.MASKING: masking}
    main = metrics.main_space(measures)
    space = {schema.LAYER: str(labels(measures, schema.LAYER)[0]) if layer is None else layer}
    space |= {name: main[name] if label is None else label for name, label in chosen.items()}
    for name, label in space.items():
        _require(name, label, labels(measures, name))
    values = measures[measure].sel({n: v for n, v in space.items() if n in measures[measure].dims})
    moments = schema.STEP if schema.STEP in values.dims else schema.EPOCH
    lines = [
        Curve(str(condition), space[schema.LAYER], 0, row)
        for condition in labels(values, schema.CONDITION)
        for row in values.sel(condition=condition)
        .transpose(..., moments)
        .values.reshape(-1, values.sizes[moments])
    ]
    if moments == schema.EPOCH:
        horizontal = epoch_axis([int(epoch) for epoch in labels(measures, schema.EPOCH)])
    else:
        ends = (map(int, labels(measures, name)) for name in (schema.EPOCH_FROM, schema.EPOCH_TO))
        horizontal = interval_axis(list(zip(*ends, strict=True)))
    ax = _axes(ax, 6, 4)
    colour = colours(list(dict.fromkeys(line.condition for line in lines)))
    finish = draw_lines(ax, lines, horizontal.x, colour, 1.0)
    horizontal.dress(ax)
    ax.margins(x=0.04, y=0.08)
    ax.grid(axis="y", color=FAINT, lw=0.7)
    ax.set_ylabel(measure.replace("_", " "))
    ax.set_title(space[schema.LAYER])
    end_labels(ax, finish, colour)
    return ax


def _sample(
    cube: xr.Dataset,
    layer: str | None,
    condition: str | None,
    run: int | None,
    repeat: int | None,
    receptive_fields: xr.Dataset | None,
) -> tuple[Sample, str, str]:
    """One network and repeat of a cube, the layer and the condition."""
    cube = require_cube(cube)
    asked: dict[str, str | int] = {}
    for name, label in ((schema.CONDITION, condition), (schema.RUN, run), (schema.REPEAT, repeat)):
        known = labels(cube, name)
        asked[name] = known[0] if label is None else label
        _require(name, asked[name], known)
    layers = list(layers_of(cube))
    layer = layers[0] if layer is None else layer
    _require("layer", layer, layers)
    network = (str(asked[schema.CONDITION]), int(asked[schema.RUN]))
    fields = of_network(receptive_fields, network, "receptive_fields")
    part = cube.sel({name: [label] for name, label in asked.items()})
    return Sample(part, {network[0]: fields}), layer, network[0]


def _shown(drawn: Drawn, size: int) -> Images:
    """Prototypes; a unit without one is hatched."""
    return np.where(drawn.alive[:, None, None, None], drawn.images, hatched(size))


def _axes(ax: Axes | None, across: int, down: int) -> Axes:
    """The given axes, or new ones for this many pictures."""
    if ax is not None:
        return ax
    from matplotlib import pyplot

    inch = min(INCH, WIDEST / across)
    size = (max(3.0, inch * across), max(2.0, inch * down) + 0.5)
    return pyplot.subplots(figsize=size, layout="constrained")[1]


def _require(name: str, label: object, known: Sequence[object]) -> None:
    """Raise StudyError if there is no such label."""
    if label not in known:
        expected = f"one of {', '.join(map(str, known))}"
        raise StudyError(name, expected=expected, found=repr(label), remedy="name one of these")
