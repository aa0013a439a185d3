"""A store is right, or what is wrong with it is named; each kind of damage is planted in a lone store."""

import json
import re
import shutil

import numpy as np
import pytest
import xarray as xr
import zarr

from protoviz.errors import StudyError
from protoviz.store import cube, kinds, schema, validation, zarr_io
from protoviz.store.cube_linking import link_cube
from tests.reference import prototypes as toy

ADDRESS = cube.Address("keepclr", 3, 1, 8)
PLACE = (1, 1, 1, 2)  # of ADDRESS


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    title = {"title": schema.CUBE.title}
    parts = [
        toy.write_cube(folder / f"{condition}-{run}.zarr", toy.template((condition,), (run,)), title)
        for condition in ("clrjit", "keepclr")
        for run in (1, 3)
    ]
    link_cube(folder / "cube.zarr", parts)
    return folder / "cube.zarr"


@pytest.fixture
def store(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "cube.zarr")


def found(path):
    return [str(problem) for problem in validation.problems(path, kinds.kind_of(path))]


def flip(path, at):
    """One bit of a file."""
    content = bytearray(path.read_bytes())
    content[at] ^= 4
    path.write_bytes(content)


def edit(path, change):
    """Edit a JSON file."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def gathered(change):
    """Damage: edit the copies of the arrays' metadata that all readers read."""

    def damage(store):
        edit(store / "zarr.json", lambda metadata: change(metadata["consolidated_metadata"]["metadata"]))

    return damage


def named(change):
    """Damage: edit the manifest."""
    return lambda store: edit(store / MANIFEST, change)


def exchanged(one, other):
    """Damage: two files of a store change places."""

    def damage(store):
        contents = (store / one).read_bytes(), (store / other).read_bytes()
        (store / other).write_bytes(contents[0])
        (store / one).write_bytes(contents[1])

    return damage


def written(name, key, value):
    """Damage: other values, written by Zarr itself, so that every checksum is right."""

    def damage(store):
        zarr.open_array(store / name, mode="r+")[key] = value

    return damage


def cut(file, length):
    return lambda store: (store / file).write_bytes((store / file).read_bytes()[:length])


def added(file):
    def damage(store):
        (store / file).parent.mkdir(parents=True, exist_ok=True)
        (store / file).write_text("junk")

    return damage


def removed(file):
    return lambda store: (store / file).unlink()


def another_chunk(store):
    """A chunk of a coordinate out of another store: labels that are all right in themselves."""
    other = toy.template(epochs=(0, 2, 9))
    cube.create(store.with_name("other.zarr"), other, {})
    shutil.copy(store.with_name("other.zarr") / "epoch/c/0", store / "epoch/c/0")


MANIFEST = "activation/manifest.json"
SHARD, NEIGHBOUR = "image/c/1/1/1/2/0/0/0/0", "image/c/1/1/1/1/0/0/0/0"
BEFORE = "condition keepclr, run 3, repeat 1, epoch 2"
BELONGS = "belongs to no array of the store"
CHANGED, UNLIKE = "changed since it was written", "unlike its copy in zarr.json"
OF_THE_STORE = rf"file zarr\.json: {CHANGED}"

# name -> the damage, and all that is to be said of it
DAMAGES = {
    "a bit of an image": (lambda store: flip(store / SHARD, 12), [rf"{ADDRESS}: image is damaged: .*"]),
    "a bit of an index": (lambda store: flip(store / SHARD, -3), [rf"{ADDRESS}: image is damaged: .*"]),
    "a bit of a latent": (
        lambda store: flip(store / "latent/c/1/1/1/2/0/0", 12),
        [rf"{ADDRESS}: latent is damaged: .*"],
    ),
    "a bit of an activation": (
        lambda store: flip(store / "activation/c/1/1/1/2/0", 12),
        [rf"{ADDRESS}: activation is damaged: .*"],
    ),
    "a bit of a trace": (
        lambda store: flip(store / "activation_trace/c/1/1/1/2/0/0", 12),
        [rf"{ADDRESS}: activation_trace is damaged: .*"],
    ),
    "a bit of the states": (
        lambda store: flip(store / "status/c/1/1/1/2/0", -2),
        [rf"{ADDRESS}: status is damaged: .*"],
    ),
    "a lost shard": (removed(SHARD), [f"{ADDRESS}: no shard of image"]),
    "a shard that is cut off": (cut(SHARD, 7), [rf"{ADDRESS}: image is damaged: .*"]),
    "an empty shard": (cut(SHARD, 0), [f"{ADDRESS}: no shard of image"]),
    "two shards exchanged": (
        exchanged(SHARD, NEIGHBOUR),
        [f"{BEFORE}: image: {CHANGED}", f"{ADDRESS}: image: {CHANGED}"],
    ),
    "other pixels": (written("image", (*PLACE, 0, 0, 0), 0), [f"{ADDRESS}: image: {CHANGED}"]),
    "a missing prototype": (
        written("status", (*PLACE, 3), schema.Status.MISSING),
        [f"{ADDRESS}: 1 of 12 prototypes missing"],
    ),
    "a state without a name": (
        written("status", (*PLACE, 3), 77),
        [f"{ADDRESS}: 1 of 12 prototypes in a state without a name"],
    ),
    "an activation that is not finite": (
        written("activation", (*PLACE, 3), np.nan),
        [f"{ADDRESS}: 1 prototypes called converged whose activation is not finite"],
    ),
    "a latent that is not finite": (
        written("latent", (*PLACE, 3, 0), np.inf),
        [f"{ADDRESS}: 1 prototypes called converged whose latent is not finite"],
    ),
    "a bit of a coordinate": (
        lambda store: flip(store / "condition/c/0", -1),
        [r"coordinate condition: condition is damaged: .*"],
    ),
    "a lost coordinate": (removed("checkpoint/c/0"), ["coordinate checkpoint: no shard of checkpoint"]),
    "a coordinate of another store": (another_chunk, [f"coordinate epoch: {CHANGED}"]),
    "labels that are not distinct": (
        written("epoch", slice(None), [0, 2, 2]),
        [r"coordinate epoch: labels that are not distinct: \[0, 2, 2\]"],
    ),
    "units out of order": (
        written("channel", 5, 9),
        ["coordinate channel: not layer after layer, the channels of each ascending"],
    ),
    "an attribute of the store": (
        lambda store: edit(store / "zarr.json", lambda m: m["attributes"].update(synthesis='{"steps": 9}')),
        [OF_THE_STORE],
    ),
    "the title of the store": (
        lambda store: edit(store / "zarr.json", lambda metadata: metadata["attributes"].clear()),
        [OF_THE_STORE],
    ),
    "an attribute of an array": (
        gathered(lambda arrays: arrays["activation"]["attributes"].update(description="loudness")),
        [rf"file activation/zarr\.json: {UNLIKE}", OF_THE_STORE],
    ),
    "a unit": (
        gathered(lambda arrays: arrays["activation"]["attributes"].update(units="V")),
        ["variable activation: unit V in place of 1", rf"file activation/.*: {UNLIKE}", OF_THE_STORE],
    ),
    "the names of states": (
        gathered(lambda arrays: arrays["status"]["attributes"].update(flag_values=[0, 1])),
        [r"variable status: states \[0, 1\] in .*", rf"file status/.*: {UNLIKE}", OF_THE_STORE],
    ),
    "a fill value": (
        gathered(lambda arrays: arrays["image"].update(fill_value=3)),
        [rf"file image/zarr\.json: {UNLIKE}", OF_THE_STORE],
    ),
    "a type": (
        gathered(lambda arrays: arrays["activation"].update(data_type="int32", fill_value=0)),
        ["variable activation: type int32 in .*", rf"file activation/.*: {UNLIKE}", OF_THE_STORE],
    ),
    "an array that is not gathered": (
        gathered(lambda arrays: arrays.pop("latent")),
        [OF_THE_STORE, *[rf"file latent/.*: {BELONGS}"] * 25],  # a store may do without latents
    ),
    "an array's own metadata": (
        lambda store: edit(store / "image/zarr.json", lambda m: m["attributes"].update(units="V")),
        [rf"file image/zarr\.json: {UNLIKE}"],
    ),
    "an array's own metadata that are lost": (
        removed("image/zarr.json"),
        [r"file image/zarr\.json: missing"],
    ),
    "a stray file": (added("notes.txt"), [rf"file notes\.txt: {BELONGS}"]),
    "a stray piece of a file": (added("image/c/0/0.partial"), [rf"file image/c/0/0\.partial: {BELONGS}"]),
    "a stray shard": (added("image/c/9/0"), [rf"file image/c/9/0: {BELONGS}"]),
    "a lost manifest": (removed(MANIFEST), [r"the manifest: not there: the store was made by an older .*"]),
    "a manifest that is cut off": (cut(MANIFEST, 50), ["the manifest: cannot be read: .*"]),
    "a manifest that is none": (
        lambda store: (store / MANIFEST).write_text("[1]"),
        ["the manifest: cannot be read: not a mapping from paths to MD5"],
    ),
    "a manifest with one file more": (
        named(lambda said: said.update({"image/c/9/0": "0" * 32})),
        [r"file image/c/9/0: in the manifest, but not there"],
    ),
    "a manifest with one file less": (
        named(lambda said: said.pop(SHARD)),
        [f"{ADDRESS}: image: not in the manifest"],
    ),
    "a manifest with another digest": (
        named(lambda said: said.update({SHARD: said[NEIGHBOUR]})),
        [f"{ADDRESS}: image: {CHANGED}"],
    ),
    "no metadata": (removed("zarr.json"), ["the store: cannot be opened: .*"]),
    "metadata that are cut off": (cut("zarr.json", 100), ["the store: cannot be opened: .*"]),
    "metadata without those of the arrays": (
        lambda store: edit(store / "zarr.json", lambda metadata: metadata.pop("consolidated_metadata")),
        [r"the store: cannot be opened: zarr\.json without the metadata of all arrays"],
    ),
}


@pytest.mark.parametrize(("damage", "said"), DAMAGES.values(), ids=DAMAGES)
def test_every_damage_is_found_and_its_place_is_named(store, damage, said):
    """What is said of it, and nothing else; of a file that was changed with it nothing twice."""
    damage(store)
    problems = found(store)
    unsaid = [line for line in said if not any(re.fullmatch(line, problem) for problem in problems)]
    beside = [problem for problem in problems if not any(re.fullmatch(line, problem) for line in said)]
    assert (unsaid, beside, len(problems)) == ([], [], len(said))


def test_a_whole_cube_has_no_problem(whole):
    assert found(whole) == []


def test_all_damages_of_a_store_are_found_at_once(store):
    for name in ("a lost shard", "a stray file", "a missing prototype"):
        DAMAGES[name][0](store)
    cut("latent/c/0/0/0/1/0/0", 7)(store)
    problems = found(store)
    assert f"{ADDRESS}: no shard of image" in problems
    assert f"{ADDRESS}: 1 of 12 prototypes missing" in problems
    assert "condition clrjit, run 1, repeat 0, epoch 2: latent is damaged" in "\n".join(problems)
    assert len(problems) == 4


class TestFast:
    def test_it_finds_what_is_not_there_and_what_is_not_made(self, store):
        for name in ("a lost shard", "a missing prototype", "units out of order"):
            DAMAGES[name][0](store)
        problems = [str(problem) for problem in validation.problems(store, schema.CUBE, fast=True)]
        assert problems[1:] == [f"{ADDRESS}: no shard of image", f"{ADDRESS}: 1 of 12 prototypes missing"]
        assert problems[0].startswith("coordinate channel: not layer after layer")

    def test_it_opens_no_data(self, store):
        for file in (store / "image" / "c").rglob("*"):
            if file.is_file():
                file.write_bytes(b"junk")
        assert validation.problems(store, schema.CUBE, fast=True) == []

    def test_the_first_is_the_error(self, store):
        DAMAGES["units out of order"][0](store)
        with pytest.raises(StudyError, match=r"coordinate channel: .* found not layer after layer, the chan"):
            validation.require(store, schema.CUBE, fast=True)


def test_a_store_of_an_older_version_is_named(tmp_path):
    """Text without the mark that makes xarray give Python strings, nested attributes, no manifest."""
    path = toy.write_cube(tmp_path / "a.zarr")
    (path / MANIFEST).unlink()
    edit(path / "checkpoint" / "zarr.json", lambda metadata: metadata["attributes"].pop("missing_value"))
    zarr_io.consolidate(path)
    first, last = found(path)
    assert first.startswith("coordinate checkpoint: StringDType() ('epoch',) in place of object")
    assert last.startswith("the manifest: not there: the store was made by an older version")


def test_what_is_no_store_is_said(tmp_path):
    (problem,) = found(tmp_path / "absent.zarr")
    assert problem.startswith("the store: cannot be opened")


class TestSmallStores:
    @pytest.fixture
    def small(self, tmp_path):
        dataset = xr.Dataset(
            {"value": (("condition", "unit"), np.ones((2, 3), np.float32))},
            {"condition": ["clrjit", "keepclr"], "channel": ("unit", [0, 1, 2])},
            {"title": "of nobody's schema"},
        )
        zarr_io.write_dataset(tmp_path / "a.zarr", dataset)
        return tmp_path / "a.zarr"

    def test_checksums_and_gaps_are_compared_without_a_schema(self, small):
        assert found(small) == []
        flip(small / "value/c/0/0", -1)
        (problem,) = found(small)
        assert problem.startswith("variable value: value is damaged")
        (small / "value/c/0/0").unlink()
        assert found(small) == ["variable value: no shard of value"]

    def test_what_the_checksums_do_not_tell_the_manifest_tells(self, small):
        zarr.open_array(small / "value", mode="r+")[0, 0] = 2
        assert found(small) == [f"variable value: {CHANGED}"]

    @pytest.mark.parametrize("kind", kinds.STORES, ids=lambda kind: kind.title)
    def test_a_known_title_brings_its_schema(self, small, kind):
        edit(small / "zarr.json", lambda metadata: metadata["attributes"].update(title=kind.title))
        assert f"variable {kind.variables[0].name}: missing" in found(small)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("image/c/1/1/1/2/0/0/0/0", f"{ADDRESS}: image"),
        ("status/c/0/1/0/0/0", "condition clrjit, run 3, repeat 0, epoch 0: status"),
        ("epoch/c/0", "coordinate epoch"),
        ("zarr.json", "file zarr.json"),
        ("image/zarr.json", "file image/zarr.json"),
        ("other/c/0", "file other/c/0"),
    ],
)
def test_a_file_is_said_in_words(whole, file, said):
    assert validation.place(whole, file) == said
