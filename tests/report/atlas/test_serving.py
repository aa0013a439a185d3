"""The server of the atlas: this machine alone, its address said, bad input in one line."""

import contextlib
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from protoviz import layout
from protoviz.errors import StudyError
from protoviz.report.atlas import serving
from tests.report.atlas.conftest import Served

ROOT = Path(__file__).parents[3]
PATIENCE = 120  # s for an answer; only where there is none it is waited for


@pytest.fixture
def atlas(tmp_path: Path) -> Path:
    """A folder that can be served, with a folder and a file beside it that must not be."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/cube.js").write_text("secret")
    folder = tmp_path / "atlas"
    (folder / "data").mkdir(parents=True)
    (folder / "index.html").write_text("<title>index</title>")
    (folder / "data/study.js").write_text("const secret = 1;")
    return folder


@pytest.fixture
def served(atlas: Path) -> Iterator[Served]:
    serving_ = Served(atlas)
    yield serving_
    serving_.stop()


@dataclass
class Answer:
    status: int
    headers: Message
    body: bytes


def answer(connection: socket.socket, method: str = "GET") -> Answer:
    """What comes until the server closes the connection."""
    with connection, contextlib.closing(HTTPResponse(connection, method=method)) as response:
        response.begin()
        return Answer(response.status, response.headers, response.read())


def connect(port: int, request: bytes) -> socket.socket:
    connection = socket.create_connection((serving.LOOPBACK, port), PATIENCE)
    connection.sendall(request)
    return connection


def ask(served: Served, target: str, method: str = "GET", hosts: tuple[str, ...] | None = None) -> Answer:
    """The answer to a request that is sent as it is written; without hosts, under the server's own name."""
    port = served.server.server_port
    lines = [f"{method} {target} HTTP/1.1"]
    lines += [f"Host: {host}" for host in (hosts if hosts is not None else (f"127.0.0.1:{port}",))]
    return answer(connect(port, "\r\n".join([*lines, "", ""]).encode()), method)


def test_it_serves_the_folder_to_this_machine(study: Any) -> None:
    served = Served(study.bare)
    try:
        assert served.server.server_address[0] == "127.0.0.1"
        types = {
            "": "text/html",
            "core.js": "text/javascript",
            "sheets/clrjit-1/0/0/layer1.webp": "image/webp",
        }
        for path, kind in types.items():
            found = ask(served, f"/{path}")
            assert (found.status, found.headers["Content-Type"]) == (200, kind)
            assert found.body == (study.bare / (path or "index.html")).read_bytes()
    finally:
        served.stop()


def test_a_hundred_requests_at_once_are_answered_right(study: Any) -> None:
    """The first hundred come before the server accepts any: none may be dropped."""
    paths = sorted(path for path in study.bare.rglob("*") if path.is_file())
    server = serving.server(study.bare, 0)
    thread = threading.Thread(target=server.serve_forever)
    try:
        for first in range(0, 400, 100):
            asked = [paths[k % len(paths)] for k in range(first, first + 100)]
            head = f" HTTP/1.1\r\nHost: localhost:{server.server_port}\r\n\r\n"
            requests = [f"GET /{quote(str(path.relative_to(study.bare)))}{head}".encode() for path in asked]
            with contextlib.ExitStack() as open_:
                connections = [open_.enter_context(connect(server.server_port, one)) for one in requests]
                if first == 0:
                    thread.start()
                for path, connection in zip(asked, connections, strict=True):
                    found = answer(connection)
                    assert (found.status, found.body) == (200, path.read_bytes()), path
    finally:
        if thread.is_alive():
            server.shutdown()
            thread.join()
        server.server_close()


NOT_THERE = {
    "a NUL": "/a%00b",
    "a NUL behind a name": "/index.html%00.js",
    "half of a character": "/%ff",
    "half of a pair": "/%ED%A0%80",
    "a long name": "/" + 5_000 * "a",
    "a long path": "/" + 30_000 * "a/",
    "a slash behind a name": "/index.html/",
    "a folder": "/data",
    "a folder with a slash": "/data/",
    "above": "/../secret/cube.js",
    "above, encoded": "/%2e%2e/secret/cube.js",
    "above, all of it encoded": "/..%2Fsecret%2Fcube.js",
    "above, from a folder": "/data/../../secret/cube.js",
    "above, encoded twice": "/%252e%252e/secret/cube.js",
    "above, backwards": "/..\\secret\\cube.js",
    "an absolute path": "//{beside}/secret/cube.js",
    "another place": "http://other.example/data/study.js",
    "no path": "*",
    "a file that leads out": "/out.js",
    "a folder that leads out": "/out/cube.js",
    "a way out and back": "/out/../../secret/cube.js",
    "a ring": "/ring",
    "a pipe": "/pipe",
}


@pytest.mark.parametrize("named", NOT_THERE)
def test_what_is_no_file_of_the_folder_is_not_found(
    served: Served, atlas: Path, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (atlas / "out.js").symlink_to(atlas.parent / "secret/cube.js")
    (atlas / "out").symlink_to("../secret")
    (atlas / "ring").symlink_to("ring")
    os.mkfifo(atlas / "pipe")
    target = NOT_THERE[named].format(beside=atlas.parent)
    for method in ("GET", "HEAD"):
        found = ask(served, target, method)
        assert found.status == 404
        assert b"secret" not in found.body
    assert capsys.readouterr().err == ""


def test_links_within_the_folder_are_followed(atlas: Path, tmp_path: Path) -> None:
    """Also the folder itself may be one."""
    (atlas / "again").symlink_to("data")
    (tmp_path / "link").symlink_to(atlas)
    served = Served(tmp_path / "link")
    try:
        assert ask(served, "/again/study.js").body == b"const secret = 1;"
    finally:
        served.stop()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]", "LocalHost"])
def test_names_of_this_machine_are_answered(served: Served, name: str) -> None:
    assert ask(served, "/?a", hosts=(f"{name}:{served.server.server_port}",)).status == 200


FOREIGN = [
    ("other.example",),
    ("other.example:{port}",),
    ("127.0.0.1.other.example:{port}",),
    ("localhost.:{port}",),
    ("127.0.0.2:{port}",),
    ("127.0.0.1",),  # another port: another server
    ("127.0.0.1:1",),
    ("",),
    (),
    ("127.0.0.1:{port}", "other.example:{port}"),
    ("other.example:{port}", "127.0.0.1:{port}"),
]


@pytest.mark.parametrize("hosts", FOREIGN, ids=" and ".join)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_another_name_is_refused(served: Served, hosts: tuple[str, ...], method: str) -> None:
    """Whoever owns it could let it lead here, and read the study from a page of their own."""
    port = served.server.server_port
    found = ask(served, "/", method, tuple(host.format(port=port) for host in hosts))
    assert found.status == 421
    assert b"index" not in found.body
    assert method == "HEAD" or f"The atlas is at http://127.0.0.1:{port}/ alone".encode() in found.body


def test_pages_elsewhere_cannot_include_what_is_served(chromium: Any, served: Served, tmp_path: Path) -> None:
    """Data are scripts: without our word, a browser would run them in any page, which could read them."""
    (tmp_path / "index.html").write_text("elsewhere")
    other = Served(tmp_path)
    page = chromium.new_page()
    include = """address => new Promise((resolve) => {
      const script = document.createElement("script");
      script.onload = () => resolve(true);
      script.onerror = () => resolve(false);
      script.src = address;
      document.head.append(script);
    })"""
    try:
        included = []
        for place in (other, served):
            page.goto(place.address)
            included.append(page.evaluate(include, f"{served.address}data/study.js"))
        assert included == [False, True]
    finally:
        page.close()
        other.stop()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "NONE"])
def test_other_methods_are_refused(served: Served, atlas: Path, method: str) -> None:
    before = {path: path.read_bytes() for path in atlas.rglob("*") if path.is_file()}
    assert ask(served, "/index.html", method).status == 501
    assert {path: path.read_bytes() for path in atlas.rglob("*") if path.is_file()} == before


def test_head_is_the_head_of_get(served: Served) -> None:
    get, head = (ask(served, "/data/study.js", method) for method in ("GET", "HEAD"))
    assert head.status == 200
    assert head.body == b""
    assert head.headers["Content-Length"] == get.headers["Content-Length"] == str(len(get.body))


# The long ones end where the server stops reading: what is left over might cut off its answer.
MALFORMED = {
    b"GET / HTTP/1.1 x\r\n\r\n": b"400",
    b"GET / HTTQ/1.1\r\n\r\n": b"400",
    b"GET / HTTP/9.9\r\n\r\n": b"505",
    b"GET\r\n\r\n": b"400",
    b"\x16\x03\x01\x02\x00\x01\r\n\r\n": b"400",  # the beginning of TLS
    (b"GET /" + 65_537 * b"a")[:65_537]: b"414",
    b"GET / HTTP/1.1\r\n" + 101 * b"a: b\r\n": b"431",
    b"GET / HTTP/1.1\r\n" + 65_537 * b"a": b"431",
}


@pytest.mark.parametrize(("request_", "status"), MALFORMED.items(), ids=range(len(MALFORMED)))
def test_what_is_no_request_is_refused(served: Served, request_: bytes, status: bytes) -> None:
    with connect(served.server.server_port, request_) as connection:
        said = connection.makefile("rb").read(1000)
    assert status in said
    assert b"index" not in said
    assert ask(served, "/").status == 200


def test_who_says_nothing_is_hung_up_on_and_keeps_nobody_waiting(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = served.server.server_port
    with connect(port, b""):
        assert ask(served, "/").status == 200
    assert serving._Handler.timeout is not None
    monkeypatch.setattr(serving._Handler, "timeout", 0.01)
    with connect(port, b"") as silent:
        assert silent.recv(1) == b""


def test_a_browser_that_hangs_up_is_no_error(atlas: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (atlas / "index.html").write_bytes(bytes(20_000_000))
    served = Served(atlas)
    port = served.server.server_port
    for _ in range(3):
        with connect(port, f"GET / HTTP/1.0\r\nHost: localhost:{port}\r\n\r\n".encode()) as browser:
            assert browser.recv(10)
            browser.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    served.stop()
    assert capsys.readouterr().err == ""


def test_without_an_atlas(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"expected a file made by an earlier stage, found nothing"):
        serving.server(tmp_path / "atlas", 0)


def test_a_port_that_is_taken(study: Any) -> None:
    with socket.socket() as taken:
        taken.bind((serving.LOOPBACK, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StudyError, match=rf"--port {port}: expected a free port.*make atlas PORT=0"):
            serving.server(study.bare, port)


def test_a_port_that_cannot_be(study: Any) -> None:
    with pytest.raises(StudyError, match=r"--port 70000: expected a free port"):
        serving.server(study.bare, 70000)


def test_the_command_says_the_address_and_ends_at_ctrl_c(study: Any) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "protoviz", "atlas", "--port", "0", "--no-browser"]
    folder = study.folder
    assert (folder / layout.ATLAS).is_dir()
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        match = re.fullmatch(r"The atlas is at (http://127\.0\.0\.1:\d+/) \(Ctrl-C ends it\)\n", said)
        assert match
        with urllib.request.urlopen(match[1], timeout=PATIENCE) as response:
            assert b"<title>protoviz atlas</title>" in response.read()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
