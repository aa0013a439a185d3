"""Show the atlas: a web server for this machine only, and the browser, if there is one."""

import contextlib
import functools
import http.server
import os
import sys
import webbrowser
from http import HTTPStatus
from pathlib import Path
from typing import Any

from protoviz import files
from protoviz.errors import StudyError

LOOPBACK = "127.0.0.1"
NAMES = (LOOPBACK, "localhost", "[::1]")  # by which a browser on this machine may address it


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files of one folder to pages of this server, without a line on the terminal for each.

    The loopback address keeps other machines out, but not the pages of other sites in a browser on this
    machine. They get nothing, as the study may be private.
    """

    server: "_Server"
    timeout = 60  # s without a word from the browser; then its thread ends

    # Some systems' tables of file types lack WebP.
    extensions_map = {  # noqa: RUF012 (the class we inherit from has it so)
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".webp": "image/webp",
        ".js": "text/javascript",
    }

    def log_message(self, format: str, *args: object) -> None:
        del format, args

    def send_head(self) -> Any:
        """The head of an answer to GET or HEAD: an error if the host name is not ours.

        The owner of another name may let it resolve to this machine, and then read what is sent under it.
        """
        port = self.server.server_port
        ours = {f"{name}:{port}" for name in NAMES} | (set(NAMES) if port == 80 else set())
        hosts = [host.lower() for host in self.headers.get_all("Host", [])]
        if len(hosts) != 1 or hosts[0] not in ours:
            found = f"The atlas is at http://{LOOPBACK}:{port}/ alone"
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST, explain=found)
            return None
        return super().send_head()

    def translate_path(self, path: str) -> str:
        """The real path of a file in the folder, index.html for the folder itself; "" if there is none."""
        asked = super().translate_path(path)
        if asked.rstrip("/") == self.directory:
            asked = f"{self.directory}/index.html"
        # If no such file can exist (a NUL, a long name, a slash after a name) this says no; Path may raise.
        if not os.path.isfile(asked):  # noqa: PTH113
            return ""
        found = Path(asked).resolve()
        return str(found) if found.is_relative_to(self.directory) else ""  # a link may lead out

    def end_headers(self) -> None:
        # A rebuilt atlas has the same names: browsers have to ask each time whether a file is still the same.
        self.send_header("Cache-Control", "no-cache")
        # Data are scripts, which a page of another site could include and thereby read.
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        super().end_headers()


class _Server(http.server.ThreadingHTTPServer):
    """Is silent if a browser closes a connection early, which it does whenever somebody goes on scrubbing."""

    request_queue_size = 1024  # connections that wait to be accepted; the system drops those beyond

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def server(folder: Path, port: int) -> http.server.ThreadingHTTPServer:
    """A server for the files of a folder, which only this machine can reach; port 0 takes a free one.

    Raises:
        StudyError: there is no atlas, or the port is taken.
    """
    if not (folder / "index.html").is_file():
        raise files.missing(folder)
    try:
        return _Server((LOOPBACK, port), functools.partial(_Handler, directory=str(folder.resolve())))
    except (OSError, OverflowError) as error:
        raise StudyError(
            f"--port {port}",
            expected="a free port",
            found=getattr(error, "strerror", None) or str(error),
            remedy="choose another one, or 0 for any that is free (make atlas PORT=0)",
        ) from error


def serve(folder: Path, port: int, *, browser: bool) -> None:
    """Serve until interrupted; print the address first, and open it if asked to.

    Raises:
        StudyError: as for `server`.
    """
    with server(folder, port) as serving:
        address = f"http://{LOOPBACK}:{serving.server_port}/"
        print(f"The atlas is at {address} (Ctrl-C ends it)", flush=True)
        if browser:
            webbrowser.open(address)
        with contextlib.suppress(KeyboardInterrupt):
            serving.serve_forever()
