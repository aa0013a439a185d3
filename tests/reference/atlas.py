"""A made-up study for the atlas, in the stores of the real one: every image, activation and mask is known."""

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from protoviz import files, layout
from protoviz.analysis.embedders import Setting, pixels
from protoviz.config import params
from protoviz.config.analysis import Atlas
from protoviz.report.atlas import build
from protoviz.report.atlas.sources import Network, Source
from protoviz.store import cube, schema, zarr_io
from tests.reference.compared import compared
from tests.reference.distance_store import distances

ROOT = Path(__file__).parents[2]
CONDITIONS, RUNS, REPEATS, EPOCHS = ("clrjit", "keepclr"), (1, 2), (0, 1), (0, 1, 2, 5)
LAYERS = {"layer1": 24, "layer2": 40}
SIZE, UNITS = 16, 64
DEAD = {"condition": "keepclr", "run": 2, "repeat": 1, "epoch": 5, "layer": "layer1", "channel": 3}
STAGES = ("random", "pretrained", "finetuned")
SAMPLED = {"conv1": [2, 3, 5, 8], "blocks.0.conv2": [0, 1, 7]}  # channels that are units


def images(condition: str, run: int, repeat: int, epoch: int, units: int = UNITS) -> NDArray[np.uint8]:
    """(units, SIZE, SIZE, 3): noise, so that no two tiles are alike, on a colour that tells the network."""
    address = [ord(condition[0]), run, repeat, epoch]
    noise = np.random.default_rng(address).integers(0, 120, (units, SIZE, SIZE, 3))
    return (noise + np.array([60, 20 * run, 135 if condition == "keepclr" else 0])).astype(np.uint8)


def activations(condition: str, run: int, repeat: int, epoch: int) -> NDArray[np.float32]:
    """(UNITS,), all different."""
    rng = np.random.default_rng([7, ord(condition[0]), run, repeat, epoch])
    return (rng.permutation(UNITS) + 0.25 * repeat + epoch).astype(np.float32)


def opacities(condition: str, run: int, repeat: int, epoch: int) -> NDArray[np.uint8]:
    """(UNITS, SIZE, SIZE): where the ascent has worked on each image."""
    rng = np.random.default_rng([11, ord(condition[0]), run, repeat, epoch])
    return rng.integers(0, 256, (UNITS, SIZE, SIZE), np.uint8)


def masks(run: int) -> NDArray[np.float32]:
    """(epoch, layer, y, x): Gaussians that grow with the layer, away from the middle."""
    y, x = np.indices((SIZE, SIZE))
    found = [
        [
            np.exp(-((y - 7) ** 2 + (x - 9) ** 2) / (2 * (width + 0.1 * epoch) ** 2))
            for width in (1.5, 4 + run)
        ]
        for epoch in EPOCHS
    ]
    return np.array(found, np.float32)


def study() -> params.Params:
    """The parameters of the repository with these conditions, runs and one embedder."""
    whole = params.load(ROOT / "params.yaml")
    spaces = whole.distances.model_copy(update={"embedders": ["pixels"]})
    shown = whole.atlas.model_copy(update={"runs": None})
    own = {"runs": list(RUNS), "distances": spaces, "title": "a made-up study", "atlas": shown}
    return whole.model_copy(update=own)


def write_stores() -> None:
    """Write what the stage `atlas` cannot do without, where it looks for it."""
    template = cube.Template(
        CONDITIONS, RUNS, REPEATS, EPOCHS, LAYERS, size=SIZE, components=2, trace=3, transparency=True
    )
    cube.create(layout.CUBE, template, {})
    for condition in CONDITIONS:
        for run in RUNS:
            for repeat in REPEATS:
                for epoch in EPOCHS:
                    status = np.full(UNITS, schema.Status.CONVERGED, np.uint8)
                    here = {"condition": condition, "run": run, "repeat": repeat, "epoch": epoch}
                    if here.items() <= DEAD.items():
                        status[DEAD["channel"]] = schema.Status.DEAD
                    cube.write_shard(
                        layout.CUBE,
                        cube.Address(condition, run, repeat, epoch),
                        cube.Shard(
                            image=images(condition, run, repeat, epoch),
                            latent=np.zeros((UNITS, 2), np.float16),
                            activation=activations(condition, run, repeat, epoch),
                            activation_trace=np.ones((UNITS, 3), np.float32),
                            status=status,
                            transparency=opacities(condition, run, repeat, epoch),
                        ),
                    )
            fields = xr.Dataset(
                {
                    schema.MASK: (schema.RECEPTIVE_FIELDS[schema.MASK].dims, masks(run)[None, None]),
                    schema.FIXED_MASK: ((schema.LAYER, schema.Y, schema.X), masks(1)[0]),
                },
                {
                    "condition": np.array([condition], dtype=schema.TEXT),
                    "run": [run],
                    "epoch": list(EPOCHS),
                    "layer": np.array(list(LAYERS), dtype=schema.TEXT),
                },
            )
            zarr_io.write_dataset(layout.receptive_fields(condition, run), fields)
            prototypes = cube.open_cube(layout.CUBE).sel(condition=[condition], run=[run])
            measured = distances(prototypes, fields, {"pixels": pixels(Setting(Path(), "cpu", 1, 16))})
            zarr_io.write_dataset(layout.distances(condition, run), measured)
    files.write_json(layout.FINDINGS, findings())
    for name, rows in curves().items():
        files.write_csv(layout.CURVES / f"{name}.csv", rows)


def curves() -> dict[str, list[dict[str, str]]]:
    """Curves as `dvc plots` reads them: one measure in two layers, and a read-out."""
    networks = [(condition, run) for condition in CONDITIONS for run in RUNS]

    def rows(repeats: tuple[int | None, ...], scale: float) -> list[dict[str, str]]:
        return [
            {
                "condition": condition,
                "run": str(run),
                **({} if repeat is None else {"repeat": str(repeat)}),
                "epoch": str(epoch),
                "value": str(scale * (1 + i + epoch)),
            }
            for i, (condition, run) in enumerate(networks)
            for repeat in repeats
            for epoch in EPOCHS
        ]

    layers = {f"diversity_{layer}": rows(REPEATS, 0.001) for layer in LAYERS}
    return {**layers, "probe_svm": rows((None,), 10)}


def findings() -> dict[str, Any]:
    """Two verdicts on study A."""
    effect = {
        "quantity": "diversity at the last epoch",
        "claim": "above",
        "times": 1.59,
        "interval": [0.98, 2.47],
        "p": 0.25,
        "p_floor": 0.125,
        "agreeing": "4 of 4",
        "verdict": "undecided",
    }
    verdict = {"space": "pixels mse masked", "by_space": {"pixels cosine masked": "undecided"}, "missing": []}
    first = {
        "id": "F1",
        "claim": "Keepclr ends higher",
        "verdict": "supported",
        "effects": [effect],
        **verdict,
    }
    second = {"id": "F8", "claim": "It grows", "verdict": "not supported", "effects": [], **verdict}
    return {"study": {"title": "a made-up study"}, "note": "Signs are counted.", "findings": [first, second]}


def findings_stages() -> dict[str, Any]:
    """A verdict on study B."""
    numbers = {"value": 0.4, "low": 0.3, "high": 0.5, "expected": 0.0, "p": 0.001}
    effect = {"space": "pixels", "of": "random", "measure": "silhouette", **numbers, "agrees": True}
    verdict = {"id": "Q7a", "claim": "They cluster", "verdict": "supported", "agrees": "1 of 1"}
    return {
        "study": {"title": "stages"},
        "note": "One network.",
        "findings": [{**verdict, "effect": [effect]}],
    }


def saturation(repeat: int, epoch: int) -> NDArray[np.float32]:
    """(UNITS,): falls with the channel."""
    return np.linspace(0.9, 0.1, UNITS, dtype=np.float32) - np.float32(0.01 * repeat + 0.001 * epoch)


def rich_sources() -> list[Source]:
    """The study with everything that can be known, and a second cube of stages with a sample of channels."""
    whole = cube.open_cube(layout.CUBE)
    rng = np.random.default_rng(5)
    networks = []
    for condition in CONDITIONS:
        for run in RUNS:
            fields = zarr_io.open_dataset(layout.receptive_fields(condition, run))
            shown = np.array([[saturation(repeat, epoch) for epoch in EPOCHS] for repeat in REPEATS])
            settled = np.tile(np.array([5, 1, 2, 1], np.float32), (len(REPEATS), UNITS // 4))
            top = rng.integers(0, 30, (1, 1, len(EPOCHS), UNITS, 4)).astype(np.int32)
            top[..., 5, :] = -1
            along = ("condition", "run", "repeat", "epoch", "unit")
            ranked = ("condition", "run", "epoch", "unit", "rank")
            networks.append(
                Network(
                    condition,
                    run,
                    fields=fields,
                    distances=zarr_io.open_dataset(layout.distances(condition, run)),
                    appearance=xr.Dataset({"saturation": (along, shown[None, None])}),
                    settling=xr.Dataset(
                        {"settling_epoch": (("condition", "run", "repeat", "unit"), settled[None, None])}
                    ),
                    natural=compared(
                        xr.Dataset({"top_image": (ranked, top)}, {"epoch": list(EPOCHS)}), LAYERS, REPEATS
                    ),
                    modes=modes(condition, run),
                )
            )
    mapped = places(whole.sel(run=[RUNS[-1]]))
    sources = Source(
        "study",
        "a made-up study",
        whole,
        tuple(networks),
        mapped,
        lambda rows: photographs()[rows],
        matching(),
    )
    staged = stages_cube()
    return [sources, Source("stages", "made-up stages", staged, (Network("seresnext", 1),), places(staged))]


def modes(condition: str, run: int) -> xr.Dataset:
    """Channels 0 to 4 of each layer, at two epochs, have as many modes as their channel says, of 8 starts.

    The images of the first three are kept; every pixel of mode k of channel c is 10 c + k.
    """
    names, channels = schema.unit_labels(dict.fromkeys(LAYERS, 5))
    count, kept = np.tile(channels.astype(np.int32), (1, 1, 2, 1)), 3
    shown = np.arange(kept) < count[..., None]
    value = np.where(shown, 10 * channels[:, None] + np.arange(kept), 0).astype(np.uint8)
    images = np.broadcast_to(value[..., None, None, None], (*value.shape, SIZE, SIZE, 3))
    along = ("condition", "run", "epoch", "unit")
    return xr.Dataset(
        {
            "modes": (along, count),
            "reaching": (along, np.where(count > 0, 6, 0).astype(np.int32)),
            "mode_starts": ((*along, "mode"), np.where(shown, kept - np.arange(kept), 0).astype(np.int32)),
            "mode_image": ((*along, "mode", "y", "x", "rgb"), images),
        },
        {
            "condition": np.array([condition], dtype=schema.TEXT),
            "run": [run],
            "epoch": [EPOCHS[0], EPOCHS[-1]],
            "layer": ("unit", names),
            "channel": ("unit", channels),
            "start": np.arange(8),
        },
    )


PAIRS = ((0, 1), (2, 3), (0, 2), (1, 3))  # of networks: runs of a condition, conditions of a run
UNPAIRED = 4  # the channel without a partner by responses, in layer2


def partners(pair: int, layer: str) -> tuple[list[int], list[int]]:
    """Channels in the second network of the partners of the first's units, by responses and by prototypes."""
    size = LAYERS[layer]
    answers = [
        (5 * channel + pair) % size if size % 5 else (3 * channel + pair) % size for channel in range(size)
    ]
    looks = list(answers)
    looks[0], looks[1] = looks[1], looks[0]
    if layer == "layer2":
        answers[UNPAIRED] = -1
    return answers, looks


def matching() -> xr.Dataset:
    """The units of all networks, paired."""
    networks = [(condition, run) for condition in CONDITIONS for run in RUNS]
    both = [[partners(p, layer) for layer in LAYERS] for p in range(len(PAIRS))]
    tables = [
        np.array([np.concatenate([one[side] for one in row]) for row in both], np.int32) for side in (0, 1)
    ]
    dims, layers = ("pair", "epoch", "unit"), np.array(list(LAYERS), dtype=schema.TEXT)
    value = np.linspace(0, 1, UNITS, dtype=np.float32)
    ends = [[networks[pair[side]] for pair in PAIRS] for side in (0, 1)]
    return xr.Dataset(
        {
            "partner": (dims, tables[0][:, None]),
            "correlation": (dims, np.where(tables[0] < 0, np.nan, value)[:, None]),
            "prototype_partner": (dims, tables[1][:, None]),
            "prototype_distance": (dims, np.broadcast_to(value / 10, tables[1].shape)[:, None]),
        },
        {
            "first_condition": ("pair", [one for one, _ in ends[0]]),
            "first_run": ("pair", [run for _, run in ends[0]]),
            "second_condition": ("pair", [one for one, _ in ends[1]]),
            "second_run": ("pair", [run for _, run in ends[1]]),
            "epoch": [EPOCHS[-1]],
            "unit_layer": ("unit", np.repeat(layers, list(LAYERS.values()))),
            "channel": ("unit", [channel for size in LAYERS.values() for channel in range(size)]),
        },
    )


def photographs() -> NDArray[np.uint8]:
    """(30, SIZE, SIZE, 3): natural images."""
    return np.random.default_rng(6).integers(0, 256, (30, SIZE, SIZE, 3), dtype=np.uint8)


def places(whole: xr.Dataset) -> xr.DataArray:
    """A map: each network, repeat and epoch is a column of points, one for each unit; one has no place."""
    order = ("condition", "run", "repeat", "epoch", "unit")
    shape = tuple(whole.sizes[name] for name in order)
    index = np.indices(shape)
    column = np.ravel_multi_index(tuple(index[:4]), shape[:4])
    position = np.stack([column, index[4]], axis=-1).astype(np.float32)
    position[0, 0, 0, 0, 1] = np.nan
    return xr.DataArray(
        position, {name: whole[name].values for name in order[:4]}, (*order, "axis"), attrs={"neighbors": 15}
    )


def stages_cube() -> xr.Dataset:
    """A cube in memory whose epochs are stages and whose units are a sample of channels."""
    layer = np.repeat(list(SAMPLED), [len(channels) for channels in SAMPLED.values()])
    channel = np.concatenate(list(SAMPLED.values()))
    pictures = np.stack([images("seresnext", 1, 0, epoch, len(layer)) for epoch in range(len(STAGES))])
    along = ("condition", "run", "repeat", "epoch", "unit")
    shape = (1, 1, 1, len(STAGES), len(layer))
    return xr.Dataset(
        {
            "image": ((*along, "y", "x", "rgb"), pictures[None, None, None]),
            "activation": (along, np.ones(shape, np.float32)),
            "status": (along, np.ones(shape, np.uint8)),
        },
        {
            "condition": np.array(["seresnext"], dtype=schema.TEXT),
            "run": [1],
            "repeat": [0],
            "epoch": list(range(len(STAGES))),
            "checkpoint": ("epoch", np.array(STAGES, dtype=schema.TEXT)),
            "layer": ("unit", layer.astype(schema.TEXT)),
            "channel": ("unit", channel),
        },
    ).set_xindex(["layer", "channel"])


def build_rich(target: Path) -> None:
    """Build the atlas of `rich_sources`: lossless, with sheets of units."""
    findings_ = build.Findings([findings(), findings_stages()], curves())
    build.build(
        target,
        "a made-up study",
        rich_sources(),
        findings_,
        Atlas(runs=None, quality="lossless", strips_above=0),
    )
