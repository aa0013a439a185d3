"""A file is read from a server that is slow, busy or breaks off, or there is one clear error in the end."""

import contextlib
import time

import pytest

from protoviz.errors import StudyError
from protoviz.pipeline import fetching
from tests.reference import servers

CONTENT = bytes(range(200))
CUT, RESET, SILENT, TRICKLE = "cut", "reset", "silent", "trickle"


class Faulty(servers.Ranged):
    """Does with a request what `plan` says next, a status or a fault; serves when the plan is empty."""

    plan: list[int | str] = []  # noqa: RUF012 - of the class, as each request has a handler of its own

    def do_HEAD(self):
        self.server.requests.append((self.path, "HEAD"))
        return super().do_HEAD()

    def do_GET(self):
        what = self.plan.pop(0) if self.plan else 0
        if what == 0:
            return super().do_GET()
        self.server.requests.append((self.path, what))
        if isinstance(what, int):
            return self.send_error(what)
        self.close_connection = True
        if what == RESET:
            return None
        if what != SILENT:
            self.send_response(200)
            self.send_header("Content-Length", "1000000000")
            self.end_headers()
            self.wfile.write(b"half")
        if what == CUT:
            return None
        with contextlib.suppress(OSError):  # until the other side gives up
            if what == SILENT:
                self.connection.recv(1)
            while what == TRICKLE:
                self.wfile.write(b".")
                time.sleep(0.02)
        return None


@pytest.fixture(params=["http", "s3"])
def server(request, tmp_path, monkeypatch):
    """The address of a file, the faults to come, and the requests so far."""
    if request.param == "s3":
        pytest.importorskip("dvc_s3", reason="dvc-s3 is not installed")
    folder = tmp_path / "bucket"
    folder.mkdir()
    (folder / "a").write_bytes(CONTENT)
    monkeypatch.setattr(fetching, "PAUSE", 0.001)
    monkeypatch.setattr(Faulty, "plan", [])
    with servers.small(tmp_path, Faulty) as (url, requests):
        for name, value in servers.s3_environment(url).items():
            monkeypatch.setenv(name, value)
        fetching._system.cache_clear()
        yield f"{url if request.param == 'http' else 's3:/'}/bucket/a", Faulty.plan, requests
        fetching._system.cache_clear()


@pytest.mark.parametrize("fault", [500, 502, 503, 504, 429, CUT, RESET])
def test_what_passes_is_waited_for(server, fault):
    where, plan, requests = server
    plan += [fault] * (fetching.ATTEMPTS - 1)
    assert fetching.read(where) == CONTENT
    assert len(requests) == fetching.ATTEMPTS
    plan += [fault]
    assert fetching.read(where, 10, 20) == CONTENT[10:20]
    assert fetching.read(where, -5) == CONTENT[-5:]


@pytest.mark.parametrize("fault", [503, CUT, RESET, SILENT])
def test_attempts_have_an_end(server, monkeypatch, fault):
    where, plan, requests = server
    plan += [fault] * 100
    if fault == SILENT:
        monkeypatch.setattr(fetching, "SILENCE", 0.2)
    with pytest.raises(
        StudyError, match=r"a: expected a file that can be read, found .+, in 4 attempts; check"
    ):
        fetching.read(where)
    twice = fault == RESET  # aiohttp itself asks again, once, when a connection breaks off
    assert len(requests) == fetching.ATTEMPTS * (1 + twice)


def test_a_server_that_never_comes_to_an_end_is_given_up(server, monkeypatch):
    where, plan, requests = server
    plan += [TRICKLE] * 100
    pauses = []
    monkeypatch.setattr(fetching, "LONGEST", 0.5)
    monkeypatch.setattr(fetching, "sleep", pauses.append)
    with pytest.raises(StudyError, match="in 4 attempts"):
        fetching.read(where)
    assert len(pauses) == fetching.ATTEMPTS - 1  # the server has not seen one that was too slow to connect
    assert len(requests) <= fetching.ATTEMPTS


def test_pauses_grow(server, monkeypatch):
    where, plan, _ = server
    pauses = []
    monkeypatch.setattr(fetching, "PAUSE", 0.5)
    monkeypatch.setattr(fetching, "sleep", pauses.append)
    plan += [503] * 3
    assert fetching.read(where) == CONTENT
    assert pauses == [0.5, 1.0, 2.0]


@pytest.mark.parametrize(("status", "message"), [(403, "may read"), (400, "can be read")])
def test_what_does_not_pass_is_told_at_once(server, status, message):
    where, plan, requests = server
    plan += [status]
    with pytest.raises(StudyError, match=f"a: expected a file that .*{message}, found") as caught:
        fetching.read(where)
    assert "attempts" not in str(caught.value)
    assert len(requests) == 1


def test_a_whole_file_is_one_request(server):
    where, _, requests = server
    assert fetching.read(where) == CONTENT
    assert requests == [("/bucket/a", None)]


def test_no_such_file_is_none(server):
    where, _, requests = server
    assert fetching.read(f"{where}b") is None
    assert len(requests) == 1


def test_nobody_listens():
    where = f"http://127.0.0.1:{servers.free_port()}/a"
    with pytest.raises(StudyError, match="a: expected a file that can be read, found Cannot connect"):
        fetching.read(where)


def test_an_address_that_nothing_installed_can_read(monkeypatch):
    import fsspec

    def absent(*_, **__):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec, "filesystem", absent)
    fetching._system.cache_clear()
    with pytest.raises(
        StudyError, match=r"a: expected a package .*found Install s3fs.*pip install 'protoviz\[s3\]'"
    ):
        fetching.read("s3://bucket/a")


def test_files_of_this_machine(tmp_path):
    (tmp_path / "a").write_bytes(CONTENT)
    for where in (str(tmp_path / "a"), f"file://{tmp_path}/a"):
        assert fetching.read(where) == CONTENT
        assert fetching.read(where, 3, 9) == CONTENT[3:9]
        assert fetching.read(where, -3) == CONTENT[-3:]
    assert fetching.read(str(tmp_path / "b")) is None
    with pytest.raises(StudyError, match="expected a file that can be read, found"):
        fetching.read(str(tmp_path))
