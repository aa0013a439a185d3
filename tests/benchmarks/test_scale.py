"""The benchmark of the full study measures a cube that is one."""

from benchmarks import scale
from protoviz.store import cube


def test_every_place_holds_the_one_shard(tmp_path, monkeypatch):
    monkeypatch.setattr(scale, "LAYERS", {"layer1": 2, "layer2": 4, "layer3": 16})
    extent = scale.template(epochs=2)
    stored = scale.lay_out(tmp_path / "cube.zarr", extent)
    cube.validate(tmp_path / "cube.zarr")
    files = [cube.shard_file(tmp_path / "cube.zarr", v, (1, 2, 1, 1)) for v in extent.variables]
    assert sum(file.stat().st_size for file in files) == stored
    assert {file.stat().st_nlink for file in files} == {2 * 3 * 2 * 2}
    rows = dict(scale.reading(tmp_path / "cube.zarr", extent))
    assert all(rows.values())
    assert scale.hashing(tmp_path / "cube.zarr") > 0


def test_the_full_study_is_that_of_the_paper():
    extent = scale.template(101)
    count = 1
    for axis in (extent.conditions, extent.runs, extent.repeats, extent.epochs):
        count *= len(axis)
    assert count * sum(extent.layers.values()) == 1_163_520
