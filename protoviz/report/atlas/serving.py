"""Show the atlas: a web server for this machine alone, and the browser, if there is one."""

import contextlib
import functools
import http.server
import sys
import webbrowser
from pathlib import Path
from typing import Any

from protoviz import files
from protoviz.errors import StudyError

LOOPBACK = "127.0.0.1"


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Files of one folder, without a line on the terminal for each."""

    # WebP is unknown to the tables of types of some systems.
    extensions_map = {  # noqa: RUF012 (the class we inherit from has it so)
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".webp": "image/webp",
        ".js": "text/javascript",
    }

    def log_message(self, format: str, *args: object) -> None:
        del format, args

    def end_headers(self) -> None:
        # A rebuilt atlas has the same names: ask each time whether a file is still the same.
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()


class _Server(http.server.ThreadingHTTPServer):
    """Silent where a browser hangs up before it has all: it does so whenever somebody scrubs on."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def server(folder: Path, port: int) -> http.server.ThreadingHTTPServer:
    """A server of the files of a folder, which only this machine can reach; port 0 takes one that is free.

    Raises:
        StudyError: there is no atlas, or the port is taken.
    """
    if not (folder / "index.html").is_file():
        raise files.missing(folder)
    try:
        return _Server((LOOPBACK, port), functools.partial(_Handler, directory=folder))
    except (OSError, OverflowError) as error:
        raise StudyError(
            f"--port {port}",
            expected="a free port",
            found=getattr(error, "strerror", None) or str(error),
            remedy="choose another one, or 0 for any that is free (make atlas PORT=0)",
        ) from error


def serve(folder: Path, port: int, *, browser: bool) -> None:
    """Serve until interrupted; say the address first, and open it if asked to.

    Raises:
        StudyError: as `server`.
    """
    with server(folder, port) as serving:
        address = f"http://{LOOPBACK}:{serving.server_port}/"
        print(f"The atlas is at {address} (Ctrl-C ends it)", flush=True)
        if browser:
            webbrowser.open(address)
        with contextlib.suppress(KeyboardInterrupt):
            serving.serve_forever()
