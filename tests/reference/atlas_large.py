"""An atlas of the size of the full study, by its files: 100 epochs x 960 units x 12 sequences, 96 px.

A few sheets are made and linked under all their names, as what they show does not matter to time and memory.
"""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from protoviz.report.atlas import build, pieces, scripts, sheets

CONDITIONS, RUNS, REPEATS, EPOCHS = ("clrjit", "keepclr"), (1, 2, 3), (0, 1), tuple(range(100))
LAYERS = {"layer1": 64, "layer2": 128, "layer3": 256, "layer4": 512}
SIZE, QUALITY = 96, 85


def pictures(count: int, size: int = SIZE) -> np.ndarray:
    """(count, size, size, 3): smooth colours with some noise, of about the bytes of real prototypes."""
    rng = np.random.default_rng(count)
    coarse = rng.integers(0, 256, (count, 12, 12, 3), dtype=np.uint8)
    smooth = [
        np.asarray(Image.fromarray(one).resize((size, size), Image.Resampling.BICUBIC)) for one in coarse
    ]
    return np.clip(np.stack(smooth).astype(int) + rng.integers(-3, 4, (count, size, size, 3)), 0, 255).astype(
        np.uint8
    )


def make(folder: Path) -> None:
    """Write the files of the atlas."""
    shutil.copytree(build.PAGE, folder)
    masters = folder / "masters"
    y, x = np.indices((SIZE, SIZE))
    mask = np.exp(-((y - 48) ** 2 + (x - 48) ** 2) / (2 * 20**2))
    networks = [(condition, run) for condition in CONDITIONS for run in RUNS]
    near = [[place, channel, 0.01] for place, channel in ((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6))]
    tiles = len(REPEATS) * len(EPOCHS) + len(near)
    sheets.write(masters / "unit.webp", pictures(tiles), QUALITY)
    sheets.write(masters / "veil.webp", sheets.veil(np.repeat(mask[None], len(EPOCHS), axis=0)))
    for layer, count in LAYERS.items():
        sheets.write(masters / f"epoch/{layer}.webp", pictures(count), QUALITY)
        numbers = np.random.default_rng(0).random((len(REPEATS), len(EPOCHS), count))
        found = {
            "windows": {"own": [8, 8, 80]},
            "status": [["1" * count] * len(EPOCHS)] * len(REPEATS),
            "activation": scripts.numbers(numbers),
            "change": scripts.numbers(numbers),
            "saturation": scripts.numbers(numbers, 3),
            "neighbours": [near] * count,
        }
        written = folder / f"data/units/NETWORK/{layer}.js"
        scripts.write(folder, f"units/NETWORK/{layer}", found)
        for condition, run in networks:
            name = f"{condition}-{run}"
            path = folder / f"data/units/{name}/{layer}.js"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(written.read_text().replace("NETWORK", name, 1))
            link(masters / "veil.webp", folder / f"veils/{name}/{layer}.webp")
            for channel in range(0, count, 128):
                link(masters / "unit.webp", folder / f"units/{name}/{layer}/{channel}.webp")
    for repeat in REPEATS:
        for epoch in EPOCHS:
            link(masters / "epoch", masters / f"network/{repeat}/{epoch}")
    for condition, run in networks:
        link(masters / "network", folder / f"sheets/{condition}-{run}")
    scripts.write(folder, "findings", [])
    scripts.write(folder, "curves", [])
    cube = {
        "name": "study",
        "title": "large",
        "condition": CONDITIONS,
        "run": RUNS,
        "repeat": REPEATS,
        "epoch": EPOCHS,
        "checkpoint": [f"epoch {epoch}" for epoch in EPOCHS],
        "layers": list(LAYERS.items()),
        "size": SIZE,
        "networks": networks,
        "strips": list(LAYERS),
        "computed": {"masks": True, "change": True, "saturation": True},
    }
    colours = {"clrjit": "#0072B2", "keepclr": "#D55E00"}
    study = {
        "title": "large",
        "colours": colours,
        "cubes": [cube],
        "bytes": {},
        "images": {},
        "quality": QUALITY,
        "distance": {"mean": 3.0, "most": 9, "greatest": 60},
        "thumbnail": pieces.THUMBNAIL,
    }
    scripts.write(folder, "study", study)


def link(source: Path, target: Path) -> None:
    """The same file or folder under another name."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(source.resolve())
