"""Read a published data set from where it is: one prototype at a time, without a clone and without DVC.

    cube = protoviz.open_published("https://host/study")
    cube.image.sel(condition="clrjit", run=1, repeat=0, epoch=6, layer="layer3", channel=12)

A published repository is a folder that any web server can offer: `dvc.lock` names the object that lists
the files of a store, that list names the object of each file, and an object is named after the MD5 of
its bytes. What is read whole is checked against its name, and what is read in part by the checksums of the
store. A file that is in the list but not on the server is an error: nothing is read as zeros.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import xarray as xr
from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype

from protoviz import digests, layout
from protoviz.errors import StudyError
from protoviz.pipeline import dvc_lock, fetching
from protoviz.store import manifest, schema

Parsed = TypeVar("Parsed")


def open_published(
    repo: str | Path, store: str | Path = layout.CUBE, *, remote: str = layout.PUBLISHED.name
) -> xr.Dataset:
    """Open a store of a published study; data are read when they are used.

    Args:
        repo: the top of a repository: a path, or the address at which a server offers its files, such as
            "https://host/study" (also file:// and whatever fsspec knows).
        store: which of its stores to open, by its path in the repository.
        remote: where its objects are: a folder of the repository, or a path or an address of its own, such as
            "https://bucket.s3.amazonaws.com/study".

    Returns:
        The store as an xarray Dataset; units are selected by layer and channel.

    Raises:
        StudyError: nothing is published there, the server does not support requests for parts of files, or
            what it sends is damaged or incomplete.
    """
    top = str(repo).rstrip("/")
    lock_file = f"{top}/{dvc_lock.LOCK_FILE}"
    outs = dvc_lock.parse(fetching.read(lock_file), lock_file).outputs
    if str(store) not in outs:
        stores = sorted(path for path in outs if path.endswith(".zarr"))
        raise StudyError(
            f"{top}: {store}",
            expected=f"one of its stores, {', '.join(stores)}" if stores else "a study that protoviz has run",
            found="no such output in dvc.lock",
            remedy="name another store, or another repository",
        )
    apart = "://" in remote or Path(remote).is_absolute()
    objects = Objects(remote.rstrip("/") if apart else f"{top}/{remote}", str(store))
    digest = outs[str(store)].digest
    content = objects.read(digest)
    files = digests.listed(content)
    objects.require_ranges(digest, len(content))
    published = PublishedStore(objects, files)
    _require_whole(objects, files, f"{top}: {store}")
    dataset: xr.Dataset = xr.open_zarr(published, chunks=None)
    labels = [dataset.coords.get(name) for name in schema.UNIT_LABELS]
    if all(label is not None and label.dims == (schema.UNIT,) for label in labels):
        dataset = dataset.set_xindex(schema.UNIT_LABELS)
    return dataset


@dataclass(frozen=True)
class Objects:
    """The objects of a DVC remote.

    Attributes:
        root: path or address of the remote.
        of: what is read, for messages.
    """

    root: str
    of: str

    def read(self, digest: str, start: int | None = None, end: int | None = None) -> bytes:
        """The bytes of an object from `start` to `end`, or all; a negative start counts from the end.

        Raises:
            StudyError: there is no such object, it is damaged, or more or less was sent than was asked for.
        """
        where = dvc_lock.object_path(self.root, digest)
        content = fetching.read(where, start, end)
        if content is None:
            raise StudyError(
                where,
                expected=f"an object of {self.of}",
                found="nothing",
                remedy="publish the study again, or read another commit: of this one a part is missing",
            )
        if start is None:
            found = digests.md5(content)
            if found != digest.removesuffix(digests.FOLDER):
                raise StudyError(
                    where,
                    expected=f"an object of {self.of} whose MD5 is its name",
                    found=f"MD5 {found}",
                    remedy="remove it there and publish the study again: it is damaged",
                )
        asked = None if start is None else -start if start < 0 else None if end is None else end - start
        if asked is not None and len(content) > asked:
            raise _no_ranges(where)
        if asked is not None and len(content) < asked:
            raise StudyError(
                where,
                expected=f"{asked:,} bytes",
                found=f"{len(content):,}",
                remedy="remove it there and publish the study again: it is cut off",
            )
        return content

    def require_ranges(self, digest: str, size: int) -> None:
        """Check on a small object that the server supports requests for parts of files.

        Raises:
            StudyError: it sends the whole file.
        """
        if size > 1:
            self.read(digest, 0, 1)


class PublishedStore(Store):
    """The files of a store, each an object of a remote, for Zarr to read.

    Args:
        objects: the remote.
        files: path within the store -> MD5.
    """

    def __init__(self, objects: Objects, files: Mapping[str, str]) -> None:
        super().__init__(read_only=True)
        self.objects, self.files = objects, dict(files)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublishedStore) and (self.objects, self.files) == (
            other.objects,
            other.files,
        )

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """The part of a file that zarr asks for; None if the store has no such file."""
        digest = self.files.get(key)
        if digest is None:
            return None
        start, end = _limits(byte_range)
        content = await asyncio.to_thread(self.objects.read, digest, start, end)
        return prototype.buffer.from_bytes(content)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """The parts of several files."""
        return list(await asyncio.gather(*(self.get(key, prototype, part) for key, part in key_ranges)))

    async def exists(self, key: str) -> bool:
        """Whether the store has a file."""
        return key in self.files

    supports_writes = supports_deletes = False
    supports_listing = True

    async def set(self, key: str, value: Buffer) -> None:
        """Not possible: what is published is read only."""
        raise NotImplementedError

    async def delete(self, key: str) -> None:
        """Not possible: what is published is read only."""
        raise NotImplementedError

    async def list(self) -> AsyncIterator[str]:
        """All files."""
        for key in self.files:
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Files whose path begins with this prefix."""
        for key in self.files:
            if key.startswith(prefix):
                yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Names directly within a folder."""
        folder = f"{prefix.rstrip('/')}/" if prefix else ""
        names = {key[len(folder) :].split("/")[0] for key in self.files if key.startswith(folder)}
        for name in sorted(names):
            yield name


def _limits(part: ByteRequest | None) -> tuple[int | None, int | None]:
    if part is None:
        return None, None
    if isinstance(part, RangeByteRequest):
        return part.start, part.end
    return (part.offset, None) if isinstance(part, OffsetByteRequest) else (-part.suffix, None)


def _require_whole(objects: Objects, files: Mapping[str, str], where: str) -> None:
    """Check a store's metadata against the list of its files; no data are read for that.

    A store of an older version has no manifest: only DVC's list then says what each file is.

    Raises:
        StudyError: a shard is not in the list (Zarr would read fill values), the metadata of an array differ
            from their copy in the store's own, or its manifest disagrees about a file.
    """
    arrays = _parsed(manifest.arrays, objects, files, manifest.METADATA, where)
    for file in manifest.all_files(arrays):
        if file not in files:
            raise _differs(where, "all its shards", f"none at {file}")
    own = manifest.manifest_file(arrays)
    if own not in files:
        return
    for name in manifest.disagreeing(arrays, files):
        found = f"others at {name}/{manifest.METADATA}"
        raise _differs(where, f"metadata of {name} as in its {manifest.METADATA}", found)
    said = _parsed(manifest.parse, objects, files, own, where)
    for file in sorted((said.keys() | files.keys()) - {own}):
        if said.get(file) != files.get(file):
            raise _differs(where, f"the files that its {own} names", f"another at {file}")


def _parsed(
    parse: Callable[[bytes], Parsed], objects: Objects, files: Mapping[str, str], file: str, where: str
) -> Parsed:
    """The parsed contents of a file of a store.

    Raises:
        StudyError: the store lacks the file, or it is something else.
    """
    if file not in files:
        raise _differs(where, f"a store of this version, with {file}", "none")
    try:
        return parse(objects.read(files[file]))
    except ValueError as error:
        raise _differs(f"{where}: {file}", "metadata of protoviz", str(error)) from error


def _differs(where: str, expected: str, found: str) -> StudyError:
    remedy = "run `make repro` there and publish the study again"
    return StudyError(where, expected=expected, found=found, remedy=remedy)


def _no_ranges(where: str) -> StudyError:
    host = re.sub(r"^(\w+://[^/]+).*", r"\1", where)
    return StudyError(
        host,
        expected="a server that hands out parts of files (HTTP range requests)",
        found="one that sends the whole file",
        remedy="use another server, such as nginx, or `dvc pull` in a clone",
    )
