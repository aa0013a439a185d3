"""Read the bytes of a file, wherever it is, in as many attempts as are sensible, or raise one clear error.

Failures of a server that is busy or about to restart (no answer, an answer of 5xx, an answer that is cut off)
are worth another attempt, after a pause that grows. Failures that another attempt would not change (no such
file, no such bucket, no credentials, nobody listens) are reported at once. Each attempt has a time limit, and
the number of attempts is limited.
"""

import errno
import functools
import importlib
import os
from time import sleep
from typing import Any

from protoviz.errors import StudyError, said

ATTEMPTS = 4
PAUSE = 0.5  # s after the first attempt; each pause after it is twice as long
SILENCE = 30.0  # s that a server may be silent
LONGEST = 300.0  # s of an attempt, for servers that send a byte now and then
BUSY = (408, 425, 429, 500, 502, 503, 504)  # HTTP, worth another attempt
FORBIDDEN = (401, 403)
BUSY_STORAGE = (errno.EIO, errno.EREMOTEIO, errno.EBUSY)  # what s3fs turns the same answers into
WEB, STORAGE = ("http", "https"), ("s3", "s3a")


def read(where: str, start: int | None = None, end: int | None = None) -> bytes | None:
    """The bytes of a file from `start` to `end`, or all; None if there is no such file.

    Args:
        where: a path, or an address: http, https, s3, file, and what else fsspec knows.
        start: the first byte that is read; a negative one counts from the end of the file.
        end: the first byte that is not read.

    Raises:
        StudyError: it cannot be read; after `ATTEMPTS` attempts, if another attempt could help.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _once(where, start, end)
        except FileNotFoundError as error:
            answer = getattr(error.__cause__, "response", {})  # of S3
            if answer.get("Error", {}).get("Code") == "NoSuchBucket":
                remedy = "check the address, and AWS_ENDPOINT_URL where the storage is not Amazon's"
                raise _refused(error, where, "a bucket", remedy) from error
            return None
        except Exception as error:  # libraries of other protocols have errors of their own
            if not _worth_another(error):
                _system.cache_clear()  # it may hold what was wrong, such as credentials
                raise _explained(error, where) from error
            if attempt == ATTEMPTS:
                raise StudyError(
                    where,
                    expected="a file that can be read",
                    found=f"{said(error)}, in {ATTEMPTS} attempts",
                    remedy="check that the server is there and well, and try again later",
                ) from error
        sleep(PAUSE * 2 ** (attempt - 1))
    raise AssertionError("the last attempt returns or raises")


def failures() -> tuple[type[Exception], ...]:
    """What libraries raise when a server or a disk refuses, including those of S3 if it is installed."""
    aws = _aws()
    return (OSError, aws.BotoCoreError, aws.ClientError) if aws else (OSError,)


def _once(where: str, start: int | None, end: int | None) -> bytes:
    import fsspec
    from fsspec.asyn import sync

    protocol, _ = fsspec.core.split_protocol(where)
    if protocol in WEB or protocol in STORAGE:
        system = _system(protocol, SILENCE, os.getpid())
        path = system._strip_protocol(where)
        found = sync(system.loop, system._cat_file, path, start=start, end=end, timeout=LONGEST)
        return bytes(found)
    system, path = fsspec.core.url_to_fs(where)
    if start is not None and start < 0 and system.protocol == ("file", "local"):
        start = max(0, system.size(path) + start)
    return bytes(system.cat_file(path, start=start, end=end))


@functools.cache
def _system(protocol: str, silence: float, _process: int) -> Any:
    """One client for all threads of a process: fsspec makes one for each, which takes 0.3 s with S3."""
    import aiohttp
    import fsspec

    options: dict[str, Any]
    if protocol in WEB:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=silence, sock_read=silence)
        options = {"client_kwargs": {"timeout": timeout}}
    else:
        config = {
            "connect_timeout": silence,
            "read_timeout": silence,
            "retries": {"total_max_attempts": 1},
        }
        options = {"config_kwargs": config, "max_concurrency": 1}  # otherwise the size is asked for first
    system = fsspec.filesystem(protocol, skip_instance_cache=True, **options)
    if protocol in STORAGE:
        system.retries = 1  # attempts are counted here
    return system


def _worth_another(error: Exception) -> bool:
    import aiohttp

    if isinstance(error, aiohttp.ClientResponseError):
        return error.status in BUSY
    if isinstance(error, (aiohttp.ClientConnectorError, ConnectionRefusedError)):
        return False  # nobody listens, or there is no such host
    aws = _aws()
    if aws and isinstance(error, (aws.HTTPClientError, aws.ConnectTimeoutError, aws.IncompleteReadError)):
        return not isinstance(error, aws.SSLError | aws.ProxyConnectionError)
    if isinstance(
        error, (TimeoutError, ConnectionError, aiohttp.ClientConnectionError, aiohttp.ClientPayloadError)
    ):
        return True
    return isinstance(error, OSError) and error.errno in BUSY_STORAGE


def _explained(error: Exception, where: str) -> StudyError:
    aws = _aws()
    if aws and isinstance(error, (aws.NoCredentialsError, aws.PartialCredentialsError)):
        return _refused(
            error,
            where,
            "credentials for S3",
            "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; a public bucket has an https "
            "address, too",
        )
    if isinstance(error, PermissionError) and where.startswith(tuple(f"{name}:" for name in STORAGE)):
        return _refused(
            error, where, "a file that these credentials may read", "correct the credentials or the rights"
        )
    if getattr(error, "status", None) in FORBIDDEN:
        return _refused(
            error, where, "a file that everybody may read", "make it public, or read it with credentials"
        )
    if isinstance(error, ImportError):
        return _refused(error, where, "a package for this address", "pip install 'protoviz[s3]' for s3://")
    return _refused(
        error, where, "a file that can be read", "check the address, and that the server is there"
    )


def _refused(error: Exception, where: str, expected: str, remedy: str) -> StudyError:
    return StudyError.of(error, where, expected=expected, remedy=remedy)


def _aws() -> Any:
    """The errors of the library for S3, if it is installed."""
    try:
        return importlib.import_module("botocore.exceptions")
    except ImportError:
        return None
