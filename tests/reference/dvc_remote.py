"""A repository as `dvc push` leaves it, of one store."""

import json

from protoviz import digests


def publish(top, store, path, remote="published"):
    """As `dvc push` does: every file under the name of its MD5, and the list of them."""
    objects = top / remote

    def put(content, suffix=""):
        digest = digests.md5(content) + suffix
        target = objects / "files" / "md5" / digest[:2] / digest[2:]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return digest

    files = digests.of_files(store)
    for name in files:
        put((store / name).read_bytes())
    listing = [{"md5": files[name], "relpath": name} for name in sorted(files)]
    digest = put(json.dumps(listing, sort_keys=True).encode(), digests.FOLDER)
    assert digest == digests.of_listed(files)
    (top / "dvc.lock").write_text(
        f"schema: '2.0'\nstages:\n  cube:\n    cmd: x\n    outs:\n    - path: {path}\n      md5: {digest}\n"
    )
