"""Digests of files and folders, as DVC computes them; all code that compares contents uses these.

DVC names an object after the MD5 of its bytes. A folder is an object, too: the list of its files and their
digests, whose name ends in ".dir". Files that `.dvcignore` names do not count.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

IGNORE_FILE = ".dvcignore"
FOLDER = ".dir"


def of(path: str | Path) -> str:
    """The digest of a file or a folder, as dvc.lock has it; relative paths are as for `of_files`.

    Raises:
        FileNotFoundError: there is no such file or folder.
    """
    if not Path(path).exists():
        raise FileNotFoundError(path)
    return of_listed(of_files(path))


def of_files(path: str | Path) -> dict[str, str]:
    """Path within a folder -> MD5, for all its files that DVC looks at; a single file has the path "".

    Args:
        path: relative to the top of a repository, whose .dvcignore counts, or absolute.
    """
    path = Path(path)
    if path.is_file():
        return {"": of_file(path)}
    from pathspec import GitIgnoreSpec  # imported here, as nothing that computes prototypes needs it

    rules = Path(IGNORE_FILE)
    ignored = GitIgnoreSpec.from_lines(rules.read_text().splitlines() if rules.is_file() else [])
    return {
        file.relative_to(path).as_posix(): of_file(file)
        for file in sorted(path.rglob("*"))
        if file.is_file() and (file.is_absolute() or not ignored.match_file(file))
    }


def of_listed(files: Mapping[str, str]) -> str:
    """The digest of a folder with these files, or of a file, from what `of_files` gives."""
    if list(files) == [""]:
        return files[""]
    return md5(listing(files)) + FOLDER


def listing(files: Mapping[str, str]) -> bytes:
    """The object that stands for a folder with these files."""
    entries = [{"md5": files[name], "relpath": name} for name in sorted(files)]
    return json.dumps(entries, sort_keys=True).encode()


def listed(content: bytes) -> dict[str, str]:
    """Path -> MD5 of the files of a folder, from the object that stands for it."""
    return {entry["relpath"]: entry["md5"] for entry in json.loads(content)}


def of_file(path: str | Path) -> str:
    """The MD5 of a file of any size, hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def md5(content: bytes) -> str:
    """The MD5 of bytes, hex.

    >>> md5(b"")
    'd41d8cd98f00b204e9800998ecf8427e'
    """
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
