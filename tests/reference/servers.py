"""Servers on loopback that offer a folder: nginx and OpenSSH, and two that are small enough to know."""

import contextlib
import functools
import getpass
import http.server
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

PATIENCE = 300  # s for a server to start or to end


def free_port():
    """A port on which nobody listens, and which the system gives to nobody else while this process runs."""
    with socket.socket() as found:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
        if (
            sys.platform == "linux"
        ):  # lets a server that reuses addresses, as all do, listen on it all the same
            found.detach()
        return port


class Plain(http.server.SimpleHTTPRequestHandler):
    """Python's own: sends the whole file, whatever part is asked for."""

    def log_message(self, *_):
        pass


class Ranged(Plain):
    """Sends parts of files, and notes which: (path, the Range header)."""

    def do_GET(self):
        path, part = Path(self.translate_path(self.path)), self.headers["Range"]
        self.server.requests.append((self.path, part))
        if not path.is_file():
            return self.send_error(404)
        content = path.read_bytes()
        if part is None:
            self.send_response(200)
        else:
            first, last = re.fullmatch(r"bytes=(\d*)-(\d*)", part).groups()
            content = (
                content[int(first) : int(last) + 1 if last else None] if first else content[-int(last) :]
            )
            self.send_response(206)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        return self.wfile.write(content)


@contextlib.contextmanager
def small(folder, handler=Ranged):
    """A server of this process: its address, and the list of what is asked for."""
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(handler, directory=str(folder))
    ) as server:
        server.requests = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", server.requests
        finally:
            server.shutdown()
            thread.join()


def program(name):
    """Where a server is installed; the test is skipped where it is not."""
    found = shutil.which(name, path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin{os.pathsep}/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@contextlib.contextmanager
def started(command, port, log):
    """A server process that listens on a port until the block ends."""
    with open(log, "w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            assert process.poll() is None, Path(log).read_text()
            assert time.monotonic() < deadline, f"{command[0]} does not listen"
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)


@contextlib.contextmanager
def nginx(folder, scratch):
    """A real web server: its address."""
    executable, port = program("nginx"), free_port()
    scratch.mkdir()
    names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"{name}_temp_path {scratch}/{name};" for name in names)
    user = "user root;" if os.geteuid() == 0 else ""  # the folders of tests are for their owner alone
    (scratch / "nginx.conf").write_text(
        f"""
        daemon off; master_process off; pid {scratch}/pid; error_log {scratch}/error.log; {user}
        events {{}}
        http {{
            access_log {scratch}/access.log; {temporary}
            log_format parts '$uri $status $http_range';
            access_log {scratch}/parts.log parts;
            server {{ listen 127.0.0.1:{port}; root {folder}; }}
        }}
        """
    )
    with started([executable, "-c", str(scratch / "nginx.conf"), "-p", str(scratch)], port, scratch / "log"):
        yield f"http://127.0.0.1:{port}"


def s3_environment(url):
    """What tells a client of S3 to ask a server on loopback, and nothing else: the environment variables."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",  # it would ask an address of Amazon's machines
        "AWS_CONFIG_FILE": f"{os.devnull}/none",
        "AWS_SHARED_CREDENTIALS_FILE": f"{os.devnull}/none",
    }


@contextlib.contextmanager
def s3(scratch):
    """A server that speaks S3, without any bucket: its address, and the lines that it logs, one a request."""
    port, log = free_port(), scratch / "s3.log"
    with started([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], port, log):
        yield f"http://127.0.0.1:{port}", lambda: log.read_text().splitlines()


@contextlib.contextmanager
def sshd(scratch):
    """A real OpenSSH server that lets this user in by a key: port, user, key file."""
    executable, port = program("sshd"), free_port()
    keygen = program("ssh-keygen")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # as Debian's service does before it starts
    scratch.mkdir()
    for key in ("host", "user"):
        command = [keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(scratch / key)]
        subprocess.run(command, check=True)
    shutil.copy(scratch / "user.pub", scratch / "authorized_keys")
    (scratch / "sshd_config").write_text(
        f"""
Port {port}
ListenAddress 127.0.0.1
HostKey {scratch}/host
PidFile {scratch}/pid
AuthorizedKeysFile {scratch}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin yes
Subsystem sftp internal-sftp
"""
    )
    with started([executable, "-D", "-e", "-f", str(scratch / "sshd_config")], port, scratch / "log"):
        yield port, getpass.getuser(), scratch / "user"
