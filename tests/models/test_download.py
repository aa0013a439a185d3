"""Weight files behind an address, from a server on this machine: whole, once, with errors that say why."""

import contextlib
import hashlib
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from protoviz.errors import StudyError
from protoviz.models import download

CONTENT = b"weights" * 400_000  # 2.8 MB
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT under any name, but an error or a transfer that breaks off under some."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = []

    def at(self, path):
        return f"http://127.0.0.1:{self.server_port}/{path}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        if "absent" in self.path:
            return self.send_error(404)
        time.sleep(0.1)
        self.send_response(200)
        if "chunk" in self.path:
            self.send_header("Transfer-Encoding", "chunked")
        elif "unsized" not in self.path:
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        if "chunk" in self.path:
            self.wfile.write(b"%x\r\n" % (2 * len(CONTENT)))
        with contextlib.suppress(BrokenPipeError):
            self.wfile.write(CONTENT[: -5 if "broken" in self.path else None])
        return None

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def kept(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


@pytest.mark.parametrize("name", ["a/w.pt", "a/w.pt?download=true", "unsized.pt", ""])
def test_a_file_is_fetched_once(server, tmp_path, name):
    path = download.local(server.at(name), folder=tmp_path / "cache", sha256=DIGEST)
    assert path.read_bytes() == CONTENT
    assert download.local(server.at(name), folder=tmp_path / "cache") == path
    assert server.asked == [f"/{name}"]
    assert kept(tmp_path / "cache") == [path.name]


def test_files_of_one_name_from_two_places_are_two(server, tmp_path):
    one, other = (download.local(server.at(f"{place}/w.pt"), folder=tmp_path) for place in "ab")
    assert one != other
    assert one.suffix == other.suffix == ".pt"
    assert one.name.startswith("w-")


def test_by_default_it_lies_where_torch_keeps_its_own(server, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert download.local(server.at("w.pt")).parent == tmp_path / "hub" / "checkpoints"


def test_processes_that_need_the_same_file_fetch_it_once(server, tmp_path):
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: download.local(server.at("w.pt"), folder=tmp_path), range(4)))
    assert len(set(paths)) == len(server.asked) == 1
    assert paths[0].read_bytes() == CONTENT


def test_progress_is_told(server, tmp_path, capsys):
    path = download.local(server.at("w.pt"), folder=tmp_path)
    assert f"MB of {path.name}: done" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.pt", "absent.pt: expected a file, found HTTP 404 Not Found; correct the address"),
        ("broken.pt", "broken.pt: expected the whole file, found 2,799,995 bytes of 2,800,000; run it again"),
        ("chunk.pt", "chunk.pt: expected the whole file, found IncompleteRead.*; run it again"),
    ],
)
def test_what_a_server_does_wrong_is_told(server, tmp_path, name, message):
    with pytest.raises(StudyError, match=message):
        download.local(server.at(name), folder=tmp_path)
    assert not kept(tmp_path)


def test_no_network_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as deaf:  # has the port and does not listen
        deaf.bind(("127.0.0.1", 0))
        port = deaf.getsockname()[1]
        with pytest.raises(StudyError, match=r"a network that reaches it, found .*refused; connect, or"):
            download.local(f"http://127.0.0.1:{port}/w.pt", folder=tmp_path)
    assert not kept(tmp_path)


def test_a_file_of_another_digest_is_not_kept(server, tmp_path):
    wrong = "0" * 64
    with pytest.raises(StudyError, match=f"expected SHA-256 {wrong}, found {DIGEST}; correct the address or"):
        download.local(server.at("w.pt"), folder=tmp_path, sha256=wrong)
    assert not kept(tmp_path)
    path = download.local(server.at("w.pt"), folder=tmp_path)
    with pytest.raises(StudyError, match=f"expected SHA-256 {wrong}, found {DIGEST}; if .*, delete it"):
        download.local(server.at("w.pt"), folder=tmp_path, sha256=wrong)
    assert path.exists()


def test_a_folder_that_cannot_be_written_to_is_named(server, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(StudyError, match="cache: expected a folder that can be written to, found File e"):
        download.local(server.at("w.pt"), folder=tmp_path / "cache")


def test_paths_and_file_addresses_are_read_where_they_are(tmp_path):
    path = tmp_path / "a b.pt"
    path.write_bytes(CONTENT)
    for source in (path, str(path), path.as_uri()):
        assert download.local(source, folder=tmp_path / "cache", sha256=DIGEST) == path
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("none.pt", r"none\.pt: expected a weight file, found nothing"),
        ("file:///none.pt", r"file:///none\.pt: expected a weight file, found nothing"),
        ("ftp://host/w.pt", "expected a path or an https, http or file address, found ftp:"),
    ],
)
def test_a_source_that_cannot_be_is_named(tmp_path, source, message):
    with pytest.raises(StudyError, match=message):
        download.local(source, folder=tmp_path)
