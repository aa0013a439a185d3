"""The whole cube: the values of its parts, their very files, and no parts that do not belong together."""

import hashlib
import os
import shutil

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from protoviz.errors import StudyError
from protoviz.store import attributes, cube, manifest, schema, validation
from protoviz.store.cube_linking import link_cube, merge, read_template
from tests.reference import prototypes as toy

ITEMS = [("keepclr", 1), ("clrjit", 1), ("keepclr", 3), ("clrjit", 3)]


def part(folder, condition, run, **other):
    """A store whose name tells nothing of what it holds."""
    name = hashlib.sha256(f"{condition}{run}".encode()).hexdigest()[:6]
    attributes = {"title": "toy", "checkpoints": {f"{condition}-{run}": {"0": condition[:1]}}}
    return toy.write_cube(folder / f"{name}.zarr", toy.template((condition,), (run,), **other), attributes)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return [part(tmp_path_factory.mktemp("parts"), condition, run) for condition, run in ITEMS]


def test_whole_has_the_values_of_its_parts(tmp_path, parts):
    link_cube(tmp_path / "cube.zarr", parts)
    whole = cube.open_cube(tmp_path / "cube.zarr")
    assert whole.condition.to_numpy().tolist() == ["keepclr", "clrjit"]
    assert whole.run.to_numpy().tolist() == [1, 3]
    for condition, run in ITEMS:
        for address in toy.addresses(toy.template((condition,), (run,))):
            at = whole.sel(**address._asdict())
            for name, values in vars(toy.shard(address)).items():
                assert_array_equal(at[name].to_numpy(), values)
    cube.validate(tmp_path / "cube.zarr")


def test_shards_of_the_whole_are_the_files_of_the_parts(tmp_path, parts):
    link_cube(tmp_path / "cube.zarr", parts)
    for variable in schema.CUBE.variables:
        ours = cube.shard_file(tmp_path / "cube.zarr", variable, (1, 1, 0, 2))
        assert ours.samefile(cube.shard_file(parts[3], variable, (0, 0, 0, 2)))


def test_parts_that_keep_no_latents_make_a_whole_without(tmp_path):
    made = [part(tmp_path, condition, 1, components=0) for condition in ("clrjit", "keepclr")]
    link_cube(tmp_path / "cube.zarr", made)
    whole = cube.open_cube(tmp_path / "cube.zarr")
    assert "latent" not in whole
    assert whole.sizes["condition"] == 2
    assert validation.problems(tmp_path / "cube.zarr", schema.CUBE) == []
    assert read_template(whole).components == 0


def test_files_are_copied_where_links_are_not_possible(tmp_path, parts, monkeypatch):
    link = os.link

    def refuse(source, target):
        if str(source).endswith(".partial"):  # zarr's own way to publish a file
            return link(source, target)
        raise OSError("no links here")

    link_cube(tmp_path / "linked.zarr", parts)
    monkeypatch.setattr("os.link", refuse)
    link_cube(tmp_path / "copied.zarr", parts)
    assert bytes_of(tmp_path / "linked.zarr") == bytes_of(tmp_path / "copied.zarr")


def test_same_parts_give_the_same_files(tmp_path, parts):
    link_cube(tmp_path / "a.zarr", parts)
    link_cube(tmp_path / "b.zarr", parts)
    link_cube(tmp_path / "b.zarr", parts)
    assert bytes_of(tmp_path / "a.zarr") == bytes_of(tmp_path / "b.zarr")


def test_the_manifest_of_the_whole_repeats_those_of_the_parts(tmp_path, parts):
    """So that damage that came between the two is not taken for what was made."""
    link_cube(tmp_path / "cube.zarr", parts)
    assert validation.problems(tmp_path / "cube.zarr", schema.CUBE) == []
    copies = [shutil.copytree(path, tmp_path / path.name) for path in parts]
    file = cube.shard_file(copies[3], schema.CUBE["image"], (0, 0, 0, 2))
    content = file.read_bytes()
    file.write_bytes(content[:40] + bytes([content[40] ^ 1]) + content[41:])
    link_cube(tmp_path / "copies.zarr", copies)
    assert manifest.read(tmp_path / "copies.zarr") == manifest.read(tmp_path / "cube.zarr")
    (problem,) = validation.problems(tmp_path / "copies.zarr", schema.CUBE)
    assert problem.where == "condition clrjit, run 3, repeat 0, epoch 8"


def test_parts_without_a_manifest_are_read(tmp_path, parts):
    link_cube(tmp_path / "cube.zarr", parts)
    copies = [shutil.copytree(path, tmp_path / path.name) for path in parts]
    for path, spoil in zip(copies, (True, False, True, False), strict=True):
        file = path / manifest.manifest_file(manifest.read_arrays(path))
        file.write_text("[") if spoil else file.unlink()
    link_cube(tmp_path / "copies.zarr", copies)
    assert bytes_of(tmp_path / "copies.zarr") == bytes_of(tmp_path / "cube.zarr")


def bytes_of(path):
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_attributes_are_gathered(tmp_path, parts):
    link_cube(tmp_path / "cube.zarr", parts)
    said = attributes.read(cube.open_cube(tmp_path / "cube.zarr"))
    assert said["title"] == "toy"
    assert said["checkpoints"] == {f"{condition}-{run}": {"0": condition[:1]} for condition, run in ITEMS}


def test_template_of_a_store_is_the_one_it_was_made_from(tmp_path):
    extent = toy.template(layers={"z": 2, "a": 4})
    cube.create(tmp_path / "a.zarr", extent, {})
    read = read_template(cube.open_cube(tmp_path / "a.zarr"))
    assert read == extent
    assert list(read.layers) == ["z", "a"]


class TestRefused:
    def refused(self, folder, parts, message):
        with pytest.raises(StudyError, match=message):
            link_cube(folder / "cube.zarr", parts)
        assert not (folder / "cube.zarr").exists()
        assert not list(folder.glob(".cube*"))

    def test_no_part(self, tmp_path):
        self.refused(tmp_path, [], "expected at least one store to link, found none")

    def test_missing_part(self, tmp_path, parts):
        self.refused(
            tmp_path, [*parts, tmp_path / "absent.zarr"], r"absent\.zarr: expected a file made by an"
        )

    def test_missing_combination(self, tmp_path, parts):
        self.refused(
            tmp_path, parts[:3], "clrjit-3: expected a store for every condition and run, found none"
        )

    def test_same_network_twice(self, tmp_path, parts):
        self.refused(tmp_path, [*parts, parts[0]], "keepclr-1: expected one store, found ")

    def test_incomplete_part(self, tmp_path, parts):
        damaged = shutil.copytree(parts[1], tmp_path / "a.zarr")
        cube.shard_file(damaged, schema.CUBE["image"], (0, 0, 0, 0)).unlink()
        self.refused(
            tmp_path,
            [parts[0], damaged],
            "condition clrjit, run 1, repeat 0, epoch 0: .* found no shard of image",
        )

    def test_whole_as_a_part(self, tmp_path, parts):
        link_cube(tmp_path / "whole.zarr", parts)
        self.refused(tmp_path, [tmp_path / "whole.zarr"], "expected one condition and one run, found 2 and 2")

    @pytest.mark.parametrize(
        ("other", "message"),
        [
            ({"epochs": (0, 2, 9)}, r"epochs: expected \(0, 2, 8\), found \(0, 2, 9\)"),
            ({"repeats": (0,)}, r"repeats: expected \(0, 1\), found \(0,\)"),
            ({"layers": {"layer2": 8, "layer1": 4}}, "layers: expected"),
            ({"size": 7}, "size: expected 6, found 7"),
        ],
    )
    def test_part_of_another_study(self, tmp_path, parts, other, message):
        self.refused(tmp_path, [*parts, part(tmp_path, "third", 1, **other)], message)

    def test_old_whole_stays_when_a_part_is_bad(self, tmp_path, parts):
        link_cube(tmp_path / "cube.zarr", parts)
        with pytest.raises(StudyError):
            link_cube(tmp_path / "cube.zarr", parts[:3])
        cube.validate(tmp_path / "cube.zarr")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("1.0", "1.0", "1.0"),
        ("1.0", "1.1", {"a-1": "1.0", "b-1": "1.1"}),
        (None, None, None),
        ({"a": 1}, {"a": 1}, {"a": 1}),
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"x": {"a": 1}, "n": None}, {"x": {"b": 2}, "n": None}, {"x": {"a": 1, "b": 2}, "n": None}),
        ({"8": "ab"}, {"8": "cd"}, {"a-1": {"8": "ab"}, "b-1": {"8": "cd"}}),
        ([1, 2], [1, 2], [1, 2]),
    ],
)
def test_merge(first, second, expected):
    assert merge({"a-1": {"it": first}, "b-1": {"it": second}}) == {"it": expected}


def test_merge_keeps_what_one_item_alone_says():
    assert merge({"a-1": {"x": 1}, "b-1": {"y": np.pi}}) == {"x": 1, "y": np.pi}
