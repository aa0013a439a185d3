"""Fetch weight files from an address once, into a folder, whole or not at all."""

import contextlib
import fcntl
import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import torch

from protoviz import files
from protoviz.errors import StudyError
from protoviz.progress import track

_CHUNK = 1_000_000  # bytes
_PATIENCE = 30  # seconds without a byte


def local(source: str | Path, *, folder: str | Path | None = None, sha256: str | None = None) -> Path:
    """The local file: a path or a file: address as it is; an http or https address is fetched on first use.

    The name in the folder contains part of the digest of the address, so that two addresses with the same
    ending are not confused.

    Args:
        source: path or address.
        folder: where fetched files are kept; by default `checkpoints` of torch.hub ($TORCH_HOME).
        sha256: hex digest that the file must have, or its beginning; a file with another one is not kept.

    Raises:
        StudyError: there is no such file, the server does not answer or answers with an error, the transfer
            breaks off, the digest differs, or the disk is full.
    """
    address = str(source)
    scheme = urlsplit(address).scheme if "://" in address else ""
    if scheme in ("http", "https"):
        path = _kept(address, Path(folder) if folder else Path(torch.hub.get_dir()) / "checkpoints")
        if not path.exists():
            with _alone(path):
                if not path.exists():  # the process that we waited for has not fetched it either
                    _fetch(address, path, sha256)
    elif scheme in ("", "file"):
        path = Path(urllib.request.url2pathname(urlsplit(address).path)) if scheme else Path(source)
        if not path.is_file():
            raise StudyError(
                address, expected="a weight file", found="nothing", remedy="correct the path or the address"
            )
    else:
        raise StudyError(
            address,
            expected="a path or an https, http or file address",
            found=f"{scheme}:",
            remedy="download it by other means and give its path",
        )
    if sha256 is not None:
        _compare(address, files.sha256(path), sha256, f"if {path} is not what you meant, delete it")
    return path


def _kept(address: str, folder: Path) -> Path:
    name = Path(urlsplit(address).path).name or "weights"
    digest = hashlib.sha256(address.encode()).hexdigest()[:8]
    return folder / f"{Path(name).stem}-{digest}{Path(name).suffix}"


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one process at a time fetch a file; the others wait and then find it."""
    lock = path.with_name(f".{path.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
    except OSError as error:
        raise StudyError(
            str(path.parent),
            expected="a folder that can be written to",
            found=str(error.strerror),
            remedy="correct it, or set TORCH_HOME to another",
        ) from error
    with open(lock) as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released when the file is closed, even if the process is killed
        yield


def _fetch(address: str, path: Path, sha256: str | None) -> None:
    with files.complete(path) as partial, _answer(address) as response, open(partial, "wb") as file:
        length = int(response.headers.get("Content-Length") or 0)
        files.require_space(path.parent, length)
        chunks = -(-length // _CHUNK) or None
        for chunk in track(_chunks(address, response), f"MB of {path.name}", chunks):
            file.write(chunk)
        file.flush()
        if length and file.tell() != length:
            raise _broken(address, f"{file.tell():,} bytes of {length:,}")
        if sha256 is not None:
            _compare(address, files.sha256(partial), sha256, "correct the address or the digest")


def _answer(address: str) -> http.client.HTTPResponse:
    request = urllib.request.Request(address, headers={"User-Agent": "protoviz"})
    try:
        response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=_PATIENCE)
    except urllib.error.HTTPError as error:
        error.close()
        raise StudyError(
            address,
            expected="a file",
            found=f"HTTP {error.code} {error.reason}",
            remedy="correct the address, or download the file by other means and give its path",
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise StudyError(
            address,
            expected="a network that reaches it",
            found=str(getattr(error, "reason", error)) or type(error).__name__,
            remedy="connect, or download the file on another machine and give its path",
        ) from error
    return response


def _chunks(address: str, response: http.client.HTTPResponse) -> Iterator[bytes]:
    try:
        while chunk := response.read(_CHUNK):
            yield chunk
    except (OSError, http.client.HTTPException) as error:
        raise _broken(address, str(error) or type(error).__name__) from error


def _broken(address: str, found: str) -> StudyError:
    return StudyError(address, expected="the whole file", found=found, remedy="run it again")


def _compare(address: str, found: str, expected: str, remedy: str) -> None:
    if not found.startswith(expected.lower()):
        raise StudyError(address, expected=f"SHA-256 {expected.lower()}", found=found, remedy=remedy)
