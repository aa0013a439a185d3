"""The server of the atlas: this machine alone, its address said, bad input in one line."""

import os
import re
import signal
import socket
import struct
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from protoviz import layout
from protoviz.errors import StudyError
from protoviz.report.atlas import serving
from tests.report.atlas.conftest import Served

ROOT = Path(__file__).parents[3]


def fetch(address: str) -> tuple[str, bytes]:
    with urllib.request.urlopen(address, timeout=10) as response:
        return response.headers["Content-Type"], response.read()


def test_it_serves_the_folder_to_this_machine(study: Any) -> None:
    served = Served(study.bare)
    try:
        assert served.server.server_address[0] == "127.0.0.1"
        assert fetch(served.address)[1] == (study.bare / "index.html").read_bytes()
        assert fetch(served.address + "core.js")[0].startswith("text/javascript")
        assert fetch(served.address + "sheets/clrjit-1/0/0/layer1.webp")[0] == "image/webp"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            fetch(served.address + "../cube.zarr/zarr.json")
    finally:
        served.stop()


def test_a_browser_that_hangs_up_is_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "index.html").write_bytes(bytes(20_000_000))
    served = Served(tmp_path)
    port = served.server.server_port
    for _ in range(3):
        with socket.create_connection((serving.LOOPBACK, port)) as browser:
            browser.sendall(b"GET / HTTP/1.0\r\n\r\n")
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
        assert b"<title>protoviz atlas</title>" in fetch(match[1])[1]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
