"""Prototypes as files: the pixels of the store, in the folders that the documentation shows."""

import csv
import json

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_array_equal
from PIL import Image

from protoviz import __main__, layout
from protoviz.errors import StudyError
from protoviz.store import cube, export, schema, zarr_io
from tests.reference import prototypes as toy

CLRJIT = [cube.Address("clrjit", 1, repeat, epoch) for epoch in (0, 2, 8) for repeat in (0, 1)]


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A cube of one network, and its receptive fields but those of epoch 8."""
    monkeypatch.chdir(tmp_path)
    toy.write_cube(layout.CUBE)
    size, count = toy.SIZE, len(schema.GAUSSIAN_PARAMETERS)
    mask = np.linspace(0, 1, 2 * 2 * size * size, dtype=np.float32).reshape(1, 1, 2, 2, size, size)
    gaussian = np.arange(2 * 2 * count, dtype=np.float32).reshape(1, 1, 2, 2, count)
    gaussian[0, 0, 1, 1] = np.nan
    dims = (schema.CONDITION, schema.RUN, schema.EPOCH, schema.LAYER)
    zarr_io.write_dataset(
        layout.receptive_fields("clrjit", 1),
        xr.Dataset(
            {
                schema.MASK: ((*dims, schema.Y, schema.X), mask),
                schema.GAUSSIAN: ((*dims, schema.PARAMETER), gaussian),
                schema.R_SQUARED: (dims, np.array([[[[0.5, 0.6], [0.7, np.nan]]]], np.float32)),
                schema.FIT_STATUS: (dims, np.array([[[[1, 2], [1, 4]]]], np.uint8)),
            },
            {
                schema.CONDITION: ["clrjit"],
                schema.RUN: [1],
                schema.EPOCH: [0, 2],
                schema.LAYER: ["layer1", "layer2"],
                schema.PARAMETER: list(schema.GAUSSIAN_PARAMETERS),
            },
        ),
    )
    return tmp_path


def test_every_prototype_is_a_file_of_its_pixels(study):
    assert export.export(layout.CUBE, "out", {}) == 6 * toy.UNITS
    for address in CLRJIT:
        shard = toy.shard(address)
        folder = study / "out" / f"clrjit-1_repeat-{address.repeat}_epoch-000{address.epoch}"
        for unit, path in enumerate(
            [folder / layer / f"{c:04d}.png" for layer, n in toy.LAYERS.items() for c in range(n)]
        ):
            assert_array_equal(np.asarray(Image.open(path)), shard.image[unit])
        with open(folder / "layer2" / "units.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["file"] for row in rows] == [f"{c:04d}.png" for c in range(8)]
        assert_array_equal(np.array([row["activation"] for row in rows], np.float32), shard.activation[4:])
        assert {row["status"] for row in rows} == {"converged"}
    assert len(list((study / "out").rglob("0*.png"))) == 6 * toy.UNITS
    assert not list((study / "out").rglob("*.partial"))


def test_mask_and_size_of_the_receptive_field_stand_beside_them(study):
    export.export(layout.CUBE, "out", {})
    fields = zarr_io.open_dataset(layout.receptive_fields("clrjit", 1)).sel(condition="clrjit", run=1)
    folder = study / "out" / "clrjit-1_repeat-0_epoch-0002"
    mask = fields.mask.sel(epoch=2, layer="layer1").to_numpy()
    assert_array_equal(np.asarray(Image.open(folder / "layer1" / "mask.png")), np.rint(255 * mask))
    said = json.loads((folder / "layer1" / "receptive_field.json").read_text())
    sigma_x = float(fields.gaussian.sel(epoch=2, layer="layer1", parameter="sigma_x"))
    assert said["size_px"][0] == pytest.approx(2.3548 * sigma_x, rel=1e-4)
    assert (said["fit"], said["r_squared"]) == ("fitted", pytest.approx(0.7))
    failed = json.loads((folder / "layer2" / "receptive_field.json").read_text())
    assert (failed["fit"], failed["r_squared"], failed["size_px"]) == ("not_finite", None, [None, None])
    unmeasured = study / "out" / "clrjit-1_repeat-0_epoch-0008" / "layer1"
    assert sorted(path.name for path in unmeasured.iterdir() if not path.name.startswith("0")) == [
        "units.csv"
    ]


def test_half_the_greatest_value_is_half_the_width_away():
    assert np.exp(-0.5 * (export.WIDTH_AT_HALF / 2) ** 2) == pytest.approx(0.5)


def test_what_is_chosen_is_written_by_the_command(study, monkeypatch, capsys):
    words = ["--out", "some", "--run", "1", "--repeat", "1", "--epoch", "0", "8", "--layer", "layer2"]
    monkeypatch.setattr("sys.argv", ["protoviz", "export", *words])
    __main__.main()
    assert capsys.readouterr().out == "16 prototypes in some\n"
    assert sorted(str(path.relative_to(study / "some")) for path in (study / "some").glob("*/*")) == [
        "clrjit-1_repeat-1_epoch-0000/layer2",
        "clrjit-1_repeat-1_epoch-0008/layer2",
    ]


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"epoch": [3]}, "epoch '3': expected one of 0, 2, 8, found no such name"),
        ({"layer": ["layer9"]}, "layer 'layer9': expected one of layer1, layer2"),
        ({"condition": ["clrjt"]}, "did you mean 'clrjit'"),
    ],
)
@pytest.mark.usefixtures("study")
def test_labels_that_are_not_there_are_refused_first(chosen, message):
    with pytest.raises(StudyError, match=message):
        export.export(layout.CUBE, "out", chosen)


def test_a_cube_with_a_gap_is_not_exported(study):
    cube.shard_file(study / layout.CUBE, schema.CUBE["image"], (0, 0, 0, 0)).unlink()
    with pytest.raises(StudyError, match="found no shard of image"):
        export.export(layout.CUBE, "out", {})
    assert not (study / "out").exists()
