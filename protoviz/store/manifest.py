"""The files of a store: those that its metadata require, and a manifest of their MD5.

The manifest is JSON, path within the store -> MD5 as DVC computes it, of every file but itself. It lies in
the folder of the first array by name, such as `activation/manifest.json`, where Zarr never looks; about a
file beside the arrays, Zarr would warn whenever it lists them.

The group's `zarr.json` repeats the metadata of all arrays ("consolidated"), which is what readers read. The
file of each array is written in one canonical form, so its MD5 and that copy suffice to tell whether both
agree.
"""

import json
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any

from protoviz import digests, files

METADATA, MANIFEST = "zarr.json", "manifest.json"

Arrays = Mapping[str, Mapping[str, Any]]  # name -> metadata


def arrays(content: str | bytes) -> Arrays:
    """The arrays of a store from the contents of its own `zarr.json`.

    Raises:
        ValueError: it is not JSON, or not a group with the metadata of arrays.
    """
    try:
        gathered = json.loads(content)["consolidated_metadata"]["metadata"]
        found = {name: entry for name, entry in gathered.items() if entry["node_type"] == "array"}
        for name in found:
            list(shards(found[name]))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("zarr.json without the metadata of all arrays") from error
    if not found:
        raise ValueError("zarr.json without arrays")
    return found


def read_arrays(path: str | Path) -> Arrays:
    """The arrays of a store on this machine.

    Raises:
        OSError: there is no store.
        ValueError: see `arrays`.
    """
    return arrays((Path(path) / METADATA).read_bytes())


def shards(array: Mapping[str, Any]) -> Iterator[tuple[int, ...]]:
    """The position of every shard of an array, or of every chunk where it has no shards."""
    steps = array["chunk_grid"]["configuration"]["chunk_shape"]
    counts = [-(-length // step) if step else 0 for length, step in zip(array["shape"], steps, strict=True)]
    return product(*map(range, counts))


def shard_file(name: str, position: tuple[int, ...]) -> str:
    """The file of a shard within the store."""
    return "/".join([name, "c", *map(str, position)])


def shard_files(listed: Arrays) -> Iterator[str]:
    """The file of every shard of every array: Zarr silently reads a lost one as fill values."""
    for name, array in listed.items():
        for position in shards(array):
            yield shard_file(name, position)


def holds(path: Path, file: str) -> bool:
    """Whether a file of a store is there and not empty: an empty shard reads as fill values, too."""
    target = path / file
    return target.is_file() and target.stat().st_size > 0


def all_files(listed: Arrays) -> list[str]:
    """Every file of a store but its manifest."""
    return [METADATA, *(f"{name}/{METADATA}" for name in listed), *shard_files(listed)]


def manifest_file(listed: Arrays) -> str:
    """Where the manifest of a store with these arrays lies."""
    return f"{min(listed)}/{MANIFEST}"


def metadata_text(metadata: Mapping[str, Any]) -> str:
    """The contents of a `zarr.json`."""
    return json.dumps(metadata, indent=2)


def disagreeing(listed: Arrays, found: Mapping[str, str]) -> list[str]:
    """The arrays whose own `zarr.json` differs from the copy in that of the store.

    Args:
        listed: the arrays as the store's metadata have them.
        found: path -> MD5 of the files of the store.
    """
    digest = {name: digests.md5(metadata_text(array).encode()) for name, array in listed.items()}
    return [name for name in listed if found.get(f"{name}/{METADATA}") != digest[name]]


def write(path: str | Path, known: Mapping[str, str] = MappingProxyType({})) -> None:
    """Write the manifest of a store that is complete, the last of its files.

    Args:
        path: of the store.
        known: path -> MD5 of files that need not be read.
    """
    path = Path(path)
    listed = read_arrays(path)
    said = {file: known.get(file) or digests.of_file(path / file) for file in all_files(listed)}
    with files.complete(path / manifest_file(listed)) as partial:
        partial.write_text(json.dumps(said, indent=0, sort_keys=True) + "\n")


def parse(content: str | bytes) -> dict[str, str]:
    """Path -> MD5 from the contents of a manifest.

    Raises:
        ValueError: it is not a manifest.
    """
    said = json.loads(content)
    if not isinstance(said, dict) or not all(isinstance(digest, str) for digest in said.values()):
        raise ValueError("not a mapping from paths to MD5")
    return said


def read(path: str | Path) -> dict[str, str]:
    """Path -> MD5 of the files of a store as they were written.

    Raises:
        OSError: there is no manifest, or no store.
        ValueError: one of them is not what it should be.
    """
    return parse((Path(path) / manifest_file(read_arrays(path))).read_bytes())
