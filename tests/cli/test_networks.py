"""The command line of prototypes: tables, pictures, a store, and one line about what is wrong."""

import re
import subprocess
import sys

import numpy as np
import pytest
import torch
import xarray as xr
from PIL import Image
from torch import nn

import protoviz
from protoviz.cli.contact_sheet import CAPTION, GAP, contact_sheet
from protoviz.cli.main import main
from protoviz.models import zoo
from protoviz.store import schema

MODEL = "torchvision:squeezenet1_1"
UNITS = ["features.0:1-2", "features.3.squeeze:5"]
SMALL = ["--prior", "pixels", "--size", "33", "--steps", "2", "--repeats", "2", "--device", "cpu"]


def run(monkeypatch, capsys, *arguments):
    """What a command prints, and its exit status."""
    monkeypatch.setattr(sys, "argv", ["protoviz", *map(str, arguments)])
    status = 0
    try:
        main()
    except SystemExit as exit_:
        status = exit_.code
    printed = capsys.readouterr()
    return printed.out, printed.err, status


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files of one call, and what it printed."""
    path = tmp_path_factory.mktemp("prototypes") / "a" / "b"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["protoviz", "synthesize", MODEL, *UNITS, *SMALL, "--out", str(path)])
        main()
    return path


def test_units_lists_layers(monkeypatch, capsys):
    out, err, status = run(monkeypatch, capsys, "units", MODEL, "--size", 33)
    lines = out.splitlines()
    assert (err, status) == ("", 0)
    assert lines[0].split() == ["layer", "type", "kind", "channels", "map"]
    found = {line.split()[0]: line.split()[1:] for line in lines[1:-1]}
    assert found["features.0"] == ["Conv2d", "map", "64", "16", "x", "16"]
    assert "features.2" not in found, "a pooling has no weights"
    assert len({line.index(line.split()[1]) for line in lines[:-1]}) == 1, "columns are aligned"
    count, units = re.fullmatch(r"(\d+) layers, ([\d,]+) units at 33 px", lines[-1]).groups()
    assert int(count) == len(found)
    assert int(units.replace(",", "")) == sum(int(row[2]) for row in found.values())


def test_units_lists_all_layers_if_asked(monkeypatch, capsys):
    out, _, _ = run(monkeypatch, capsys, "units", MODEL, "--size", 33, "--all")
    found = {line.split()[0]: line.split()[1:] for line in out.splitlines()[1:-1]}
    assert found["features.2"] == ["MaxPool2d", "map", "64", "8", "x", "8"]


def test_units_shows_tokens_and_vectors(monkeypatch, capsys):
    out, _, _ = run(monkeypatch, capsys, "units", "timm:test_vit")
    found = {line.split()[0]: line.split()[1:] for line in out.splitlines()[1:-1]}
    assert found["blocks.0.mlp.fc1"][:2] == ["Linear", "tokens"]
    assert found["head"][1::2] == ["vector", "-"]
    assert "units at 160 px" in out


def test_every_prototype_is_a_picture_of_its_own(folder):
    store = xr.open_zarr(folder / "prototypes.zarr", chunks=None).set_xindex(["layer", "channel"])
    names = {"features.0_1_0", "features.0_1_1", "features.0_2_0", "features.0_2_1"}
    names |= {"features.3.squeeze_5_0", "features.3.squeeze_5_1"}
    assert {path.stem for path in folder.glob("*.png")} == names | {"units"}
    for name in names:
        layer, channel, repeat = name.rsplit("_", 2)
        expected = store.image.sel(layer=layer, channel=int(channel), repeat=int(repeat)).squeeze()
        assert np.array_equal(np.asarray(Image.open(folder / f"{name}.png")), expected)
    assert not list(folder.rglob("*partial*"))


def test_the_store_is_what_synthesize_returns(folder):
    made = protoviz.synthesize(
        MODEL, UNITS, prior="pixels", size=33, ascent={"steps": 2}, repeats=2, device="cpu"
    )
    stored = xr.open_zarr(folder / "prototypes.zarr", chunks=None).set_xindex(["layer", "channel"])
    xr.testing.assert_equal(stored.load(), made)
    assert stored.attrs == made.attrs


def test_the_sheet_shows_all(folder):
    sheet = Image.open(folder / "units.png")
    side = 3 * 33  # px: enlarged by a whole number
    # two units and one, in two repeats: each layer begins a row
    assert sheet.size == (4 * (side + GAP) + GAP, 2 * (side + CAPTION + GAP) + GAP)
    first = np.asarray(Image.open(folder / "features.0_1_0.png")).repeat(3, 0).repeat(3, 1)
    assert np.array_equal(np.asarray(sheet)[GAP : GAP + side, GAP : GAP + side], first)
    caption = np.asarray(sheet)[GAP + side : GAP + side + CAPTION, GAP : GAP + side]
    assert (caption < 128).any(), "there is a caption"


def test_what_is_made_is_printed(monkeypatch, capsys, tmp_path):
    out, _, status = run(monkeypatch, capsys, "synthesize", MODEL, *UNITS, *SMALL, "--out", tmp_path / "out")
    assert status == 0
    lines = out.splitlines()
    assert lines[0].split() == ["layer", "channel", "repeat", "activation", "status", "file"]
    assert len(lines) == 1 + 6 + 1
    store = xr.open_zarr(tmp_path / "out" / "prototypes.zarr", chunks=None)
    for line in lines[1:-1]:
        layer, channel, repeat, activation, status, file = line.split()
        one = store.sel(repeat=int(repeat)).isel(
            unit=np.flatnonzero((store.layer == layer) & (store.channel == int(channel)))
        )
        assert float(activation) == pytest.approx(one.activation.item(), rel=1e-3)
        assert status == schema.Status(one.status.item()).name.lower()
        assert (tmp_path / "out" / file).is_file()
    assert (
        lines[-1] == f"{tmp_path}/out/units.png shows all of them, {tmp_path}/out/prototypes.zarr holds them"
    )


def test_a_state_dict_is_read(monkeypatch, capsys, tmp_path):
    network = zoo.load(MODEL).module
    torch.save({key: 2 * tensor for key, tensor in network.state_dict().items()}, tmp_path / "w.pt")
    arguments = ["synthesize", MODEL, "features.0:1", *SMALL, "--repeats", "1", "--out", tmp_path / "out"]
    _, _, status = run(monkeypatch, capsys, *arguments, "--state", tmp_path / "w.pt")
    assert status == 0
    assert xr.open_zarr(tmp_path / "out" / "prototypes.zarr").checkpoint.values.tolist() == ["w.pt"]


WRONG = {
    "layer": ([MODEL, "features.00:1"], "layer 'features.00': expected one of"),
    "channel": ([MODEL, "features.0:64"], "layer 'features.0', channel 64: expected a channel from 0 to 63"),
    "model": (["torchvision:squeezent1_1", "features.0"], "did you mean squeezenet1_1"),
    "size": (
        [MODEL, "features.0", "--size", "3"],
        "network, images of 3 px: expected a size that it can take",
    ),
    "prior": ([MODEL, "features.0", "--prior", "pixel"], "image prior 'pixel'"),
    "preset": ([MODEL, "features.0", "--preset", "fats"], "preset 'fats'"),
    "device": ([MODEL, "features.0", "--device", "gpu"], "device 'gpu'"),
    "state": ([MODEL, "features.0", "--state", "no.pt"], "no.pt: expected a weight file"),
    "weights": ([MODEL, "features.0", "--weights", "no.pt"], "expected no weights"),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_in_one_line_and_nothing_is_written(
    monkeypatch, capsys, tmp_path, arguments, message
):
    usual = ["--size", "33", "--prior", "pixels", "--out", tmp_path / "out"]
    out, err, status = run(monkeypatch, capsys, "synthesize", arguments[0], *usual, *arguments[1:])
    assert (out, status) == ("", 1)
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_a_file_is_refused_first(monkeypatch, capsys, tmp_path):
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        _, err, status = run(monkeypatch, capsys, "synthesize", "nothing", "layer", "--out", out)
        assert status == 1
        assert err == (
            f"--out {out}: expected a folder that can be written to, found a file; name another one\n"
        )


@pytest.fixture(scope="module")
def grey():
    """A network of images of one channel, known to timm by a name."""
    from timm.models import register_model

    def protoviz_grey(**_options):
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 6, 3))

    register_model(protoviz_grey)
    return "timm:protoviz_grey"


def test_images_of_one_channel_and_two_sides(monkeypatch, capsys, tmp_path, grey):
    out, _, _ = run(monkeypatch, capsys, "units", grey, "--size", "12x20")
    assert [line.split() for line in out.splitlines()[1:]] == [
        ["0", "Conv2d", "map", "4", "10", "x", "18"],
        ["2", "Conv2d", "map", "6", "8", "x", "16"],
        ["2", "layers,", "10", "units", "at", "12", "x", "20", "px"],
    ]
    arguments = ("2:0-1", "--size", "12x20", "--steps", "2", "--repeats", "1", "--out", tmp_path)
    out, err, status = run(monkeypatch, capsys, "synthesize", grey, *arguments)
    assert (err, status) == ("", 0)
    with xr.open_zarr(tmp_path / "prototypes.zarr", chunks=None) as made:
        assert made.rgb.to_numpy().tolist() == ["grey"]
        stored = made.image[0, 0, 0, 0, 1].to_numpy()
    with Image.open(tmp_path / "2_1_0.png") as picture:
        shown = np.asarray(picture)
    np.testing.assert_array_equal(shown, np.repeat(stored, 3, axis=-1))
    with Image.open(tmp_path / "units.png") as sheet:
        assert sheet.size == (2 * (100 + GAP) + GAP, 60 + CAPTION + 2 * GAP), "enlarged five times"


@pytest.mark.parametrize("size", ["0", "12x", "x12", "1x2x3", "12.5", "0x4"])
def test_a_size_that_is_none_is_refused(monkeypatch, capsys, size):
    _, err, status = run(monkeypatch, capsys, "units", MODEL, "--size", size)
    assert status == 2
    assert f"argument --size: invalid _size value: '{size}'" in err


def test_a_number_that_is_none_is_refused(monkeypatch, capsys):
    for option in ("--steps", "--repeats", "--size"):
        _, err, status = run(monkeypatch, capsys, "synthesize", MODEL, "features.0", option, "0")
        assert status == 2
        assert f"argument {option}: invalid" in err


def test_long_captions_keep_their_end():
    """Two names that differ in their beginning alone look the same, those that differ at the end do not."""
    images = np.full((3, 20, 20, 3), 128, np.uint8)
    long = "block." * 20
    sheet = np.asarray(contact_sheet(images, [f"a{long}1", f"b{long}1", f"a{long}2"]))
    side = 100
    tiles = [
        sheet[row * (side + CAPTION + GAP) + GAP :, column * (side + GAP) + GAP :][: side + CAPTION, :side]
        for row, column in ((0, 0), (0, 1), (1, 0))
    ]
    assert np.array_equal(tiles[0], tiles[1])
    assert not np.array_equal(tiles[0], tiles[2])


def test_a_command_is_a_process_that_loads_torch_only_when_it_works(tmp_path):
    def command(*arguments, python=()):
        words = [sys.executable, *python, "-m", "protoviz", *arguments]
        return subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)

    helped = command("synthesize", "--help", python=("-X", "importtime"))
    assert "MODEL UNITS" in helped.stdout
    assert not re.search(r"\| +(torch|xarray|numpy)$", helped.stderr, re.MULTILINE)
    worked = command("synthesize", MODEL, "features.0:1", *SMALL)
    assert worked.stdout.count("features.0_1_") == 2
    assert worked.stderr == ""
    assert (tmp_path / "prototypes" / "features.0_1_0.png").is_file()
