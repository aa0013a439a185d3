"""The card of the published prototypes (Q8): what they are, how they were made, their terms and checksums.

It is made from the stores themselves, so that it cannot state anything that they do not hold.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from protoviz import files
from protoviz.store import attributes, channels, schema

_MADE_HERE = ("procedural", "microbes")
ELSEWHERE = "images that are not known here, as the networks were trained elsewhere"


@dataclass(frozen=True)
class Part:
    """A store that is published.

    Attributes:
        path: where it lies in the repository.
        title: of the study.
        cube: the store, opened.
        origin: a plain description of the images that its networks learnt from.
        free: whether all of these were made here, so that nobody else's terms apply.
        weights: where the weights of its networks are, if there is something to say.
    """

    path: Path
    title: str
    cube: xr.Dataset
    origin: str
    free: bool
    weights: str = ""


def card(parts: list[Part], licence: str) -> str:
    """The card as Markdown.

    Args:
        parts: what is published.
        licence: of the repository, its name.
    """
    total = sum(int(part.cube[schema.STATUS].size) for part in parts)
    lines = [
        "# Prototypes of neural networks along training",
        "",
        f"{total:,} images, each the one that a unit of a network responds to most, with what is needed to "
        "use them: the latent that regenerates it, the response it draws, the state of its search, and the "
        "address of its unit. They are synthetic: no image of a person, place or thing is in them.",
        "",
        "This file is made by the stage `dataset_card` from the stores that it describes.",
    ]
    for part in parts:
        lines += ["", *_part(part)]
    lines += ["", "## Terms", "", *_terms(parts, licence)]
    lines += [
        "",
        "## Checksums",
        "",
        "SHA-256 of each store, over its files: for each, in the order of their ",
    ]
    lines[-1] += "paths, the SHA-256 of its content, two spaces and its path, a line each."
    lines += ["", "| store | files | bytes | SHA-256 |", "|---|---|---|---|"]
    for part in parts:
        number, size, digest = checksum(part.path)
        lines.append(f"| `{part.path.as_posix()}` | {number:,} | {size:,} | `{digest}` |")
    lines += ["", "```console", "$ cd data/cube.zarr && find . -type f | LC_ALL=C sort | sed 's|^./||' \\"]
    lines += ["    | xargs -d '\\n' sha256sum | sha256sum", "```"]
    return "\n".join(lines) + "\n"


def checksum(store: Path) -> tuple[int, int, str]:
    """Number of files of a store, their bytes, the SHA-256 of their checksums as `sha256sum` lists them."""
    whole, number, size = hashlib.sha256(), 0, 0
    for name, path in sorted(_files(store)):
        whole.update(f"{files.sha256(path)}  {name}\n".encode())
        number, size = number + 1, size + path.stat().st_size
    return number, size, whole.hexdigest()


def _files(store: Path) -> Iterator[tuple[str, Path]]:
    for path in store.rglob("*"):
        if path.is_file():
            yield path.relative_to(store).as_posix(), path


def _part(part: Part) -> Iterator[str]:
    cube, said = part.cube, attributes.read(part.cube)
    layers = schema.layer_slices(cube[schema.LAYER].to_numpy())
    status = cube[schema.STATUS].to_numpy()
    states = {state.name.lower(): int((status == state).sum()) for state in schema.Status}
    recipe = said.get("synthesis", {})
    yield f"## {part.title} (`{part.path.as_posix()}`)"
    yield ""
    yield "| | |"
    yield "|---|---|"
    rows = {
        "prototypes": f"{status.size:,}: " + ", ".join(f"{n:,} {name}" for name, n in states.items() if n),
        "networks": f"{_listed(cube, schema.CONDITION)}; run {_listed(cube, schema.RUN)}",
        "checkpoints": _listed(cube, schema.CHECKPOINT),
        "units": f"{cube.sizes[schema.UNIT]:,} of {', '.join(_shortened(list(layers)))} ({len(layers)})",
        "repeats": str(cube.sizes[schema.REPEAT]),
        "image": f"{cube.sizes[schema.Y]} x {cube.sizes[schema.X]} px, {_channels(cube)}, uint8",
        "learnt from": part.origin,
        "weights": part.weights,
        "image prior": _named(said.get("prior", {})),
        "objective": _plain(recipe.get("objective", {})),
        "search": _plain(recipe.get("ascent", {})),
        "transforms": _plain(recipe.get("transforms", {})),
        "software": _plain(said.get("versions", {})),
    }
    yield from (f"| {name} | {text} |" for name, text in rows.items() if text)
    yield ""
    yield "SHA-256 of the checkpoints:"
    yield ""
    for item, digests in said.get("checkpoint_sha256", {}).items():
        yield from (f"* {item} {name}: `{digest}`" for name, digest in digests.items())


def _terms(parts: list[Part], licence: str) -> Iterator[str]:
    yield f"The images and numbers are published under the licence of this repository ({licence})."
    for part in parts:
        if not part.free:
            yield (
                f"The networks of `{part.path.as_posix()}` learnt from data of others ({part.origin}), whose "
                "terms may reach what was made with them: ask there before you pass it on."
            )


def origin(source: str, path: str | None) -> tuple[str, bool]:
    """A plain description of a source of images, and whether they were made here."""
    if source in _MADE_HERE:
        return f"{source} images, made by this repository", True
    return f"{source}{f' ({Path(path).name})' if path else ''}", False


def _listed(cube: xr.Dataset, name: str) -> str:
    return ", ".join(_shortened([str(label) for label in cube[name].to_numpy()]))


def _shortened(names: list[str]) -> list[str]:
    return names if len(names) <= 8 else [*names[:3], "...", *names[-2:]]


def _named(prior: Mapping[str, Any]) -> str:
    digest = prior.get("sha256")
    return str(prior.get("name", "")) + (f", SHA-256 `{digest}`" if digest else "")


def _plain(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items())


def _channels(cube: xr.Dataset) -> str:
    count = cube.sizes[schema.RGB]
    return "RGB" if count == len(channels.COLOURS) else ", ".join(channels.names(count))
