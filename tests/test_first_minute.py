"""The first minute of a newcomer: prototypes of an ImageNet network, with nothing fetched."""

import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from protoviz.cli import main as command

NETWORK = "imagenet:efficientnet_lite0"


def refuse(*_: Any, **__: Any) -> NoReturn:
    raise AssertionError("a network was asked for")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("connect", "connect_ex", "bind", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)


def test_the_network_is_blocked() -> None:
    with pytest.raises(AssertionError, match="a network was asked for"):
        socket.create_connection(("localhost", 1))


@pytest.mark.parametrize("prior", ["fourier", "natural", "maco"])
def test_one_command_shows_layers_of_an_imagenet_network(
    prior: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    units = ("blocks.0:0-1", "blocks.1:3")
    how = ("--size", "32", "--repeats", "1", "--prior", prior, "--steps", "2", "--out", str(tmp_path / "out"))
    monkeypatch.setattr(sys, "argv", ["protoviz", "synthesize", NETWORK, *units, *how])
    command.main()
    assert "units.png shows all of them" in capsys.readouterr().out
    with Image.open(tmp_path / "out" / "units.png") as sheet:
        assert sheet.height > 2 * 96, "a layer begins a row"
    made = xr.open_zarr(tmp_path / "out" / "prototypes.zarr", chunks=None)
    assert made.layer.values.tolist() == ["blocks.0", "blocks.0", "blocks.1"]
    assert made.checkpoint.values.tolist() == ["imagenet"]
    assert np.asarray(made.image).std() > 1
