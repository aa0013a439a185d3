"""A published study is read as it is, prototype by prototype, or not at all."""

import json
import shutil
import warnings

import pytest
from numpy.testing import assert_array_equal

import protoviz
from protoviz import digests
from protoviz.errors import StudyError
from protoviz.pipeline import dvc_lock
from protoviz.store import cube, manifest, schema
from protoviz.store.cube_linking import link_cube
from tests.reference import prototypes as toy
from tests.reference import servers
from tests.reference.dvc_remote import publish

CONDITIONS, RUNS = ("clrjit", "keepclr"), (1, 3)
ADDRESS = cube.Address("keepclr", 3, 1, 8)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    parts = [
        toy.write_cube(folder / f"{condition}-{run}.zarr", toy.template((condition,), (run,)))
        for condition in CONDITIONS
        for run in RUNS
    ]
    link_cube(folder / "cube.zarr", parts)
    top = folder / "top"
    top.mkdir()
    publish(top, folder / "cube.zarr", "data/cube.zarr")
    return top


@pytest.fixture
def damaged(study, tmp_path):
    """A copy of the study to damage."""
    return shutil.copytree(study, tmp_path / "top")


def prototype(read, address=ADDRESS):
    at = read.sel(**address._asdict()).sel(layer="layer2", channel=5)
    assert_array_equal(at.image.to_numpy(), toy.shard(address).image[4 + 5])
    return at


def stored(top, name):
    """The file of the object of a file of the cube."""
    digest = dvc_lock.read(top).outputs["data/cube.zarr"].digest
    lists = digests.listed((top / "published" / "files" / "md5" / digest[:2] / digest[2:]).read_bytes())
    return top / "published" / "files" / "md5" / lists[name][:2] / lists[name][2:]


MANIFEST = "activation/manifest.json"
SHARD = "image/c/1/1/1/2/0/0/0/0"  # of ADDRESS


@pytest.mark.parametrize("form", [str, lambda top: top, lambda top: f"file://{top}", lambda top: f"{top}/"])
def test_a_folder_is_read(study, form):
    prototype(protoviz.open_published(form(study)))


def test_every_array_is_read(study):
    read = protoviz.open_published(study)
    assert read.condition.to_numpy().tolist() == list(CONDITIONS)
    for address in toy.addresses(toy.template(CONDITIONS, RUNS)):
        at = read.sel(**address._asdict())
        for name, values in vars(toy.shard(address)).items():
            assert_array_equal(at[name].to_numpy(), values)


def test_over_http_only_what_is_asked_for_is_read(study):
    with servers.small(study) as (url, requests), warnings.catch_warnings():
        warnings.simplefilter("error")
        read = protoviz.open_published(url)
        opening = [path for path, _ in requests]
        shards = {stored(study, name.format("1/1/1/2")) for name in ("image/c/{}/0/0/0/0", "latent/c/{}/0/0")}
        assert not {f"/published/files/md5/{path.parent.name}/{path.name}" for path in shards} & set(opening)
        requests.clear()
        prototype(read)
    assert len(requests) == 2, "the index of the shard and one chunk"
    assert all(part for _, part in requests)


def test_objects_may_lie_elsewhere(study, tmp_path):
    shutil.copy(study / "dvc.lock", tmp_path)
    shutil.copytree(study / "published", tmp_path / "elsewhere" / "there")
    prototype(protoviz.open_published(tmp_path, remote="elsewhere/there"))
    prototype(protoviz.open_published(tmp_path, remote=str(study / "published")))
    with servers.small(study) as (url, _):
        prototype(protoviz.open_published(tmp_path, remote=f"{url}/published"))


def test_real_nginx(study, tmp_path):
    with servers.nginx(study, tmp_path / "nginx") as url:
        prototype(protoviz.open_published(url))
    log = (tmp_path / "nginx" / "parts.log").read_text().splitlines()
    assert any(" 206 bytes=" in line for line in log)


def refused(top, message, **other):
    with pytest.raises(StudyError, match=message):
        prototype(protoviz.open_published(top, **other))


class TestRefused:
    def test_a_server_that_sends_whole_files(self, study):
        with servers.small(study, servers.Plain) as (url, _):
            refused(url, f"^{url}: expected a server that hands out parts of files .*found one that sends")

    def test_a_server_that_is_not_there(self):
        refused(
            f"http://127.0.0.1:{servers.free_port()}", "dvc.lock: expected a file that can be read, found"
        )

    def test_what_is_no_repository(self, tmp_path):
        refused(tmp_path, r"dvc\.lock: expected the dvc\.lock of a repository of protoviz, found nothing")
        with servers.small(tmp_path) as (url, _):
            refused(url, r"dvc\.lock: expected the dvc\.lock of a repository of protoviz, found nothing")
        for text in ("hello", "[1, 2]", "stages: 3", "schema: '2.0'", "a: [", "\x00"):
            (tmp_path / "dvc.lock").write_text(text)
            refused(tmp_path, r"expected the dvc\.lock of a repository of protoviz, found something else")

    def test_another_study(self, damaged):
        text = (damaged / "dvc.lock").read_text()
        (damaged / "dvc.lock").write_text(text.replace("cube.zarr", "other.zarr"))
        refused(
            damaged, r"data/cube\.zarr: expected one of its stores, data/other\.zarr, found no such output"
        )
        (damaged / "dvc.lock").write_text(text.replace("cube.zarr", "model.pt"))
        refused(damaged, "expected a study that protoviz has run, found no such output")

    def test_a_study_that_was_never_pushed(self, damaged):
        shutil.rmtree(damaged / "published")
        refused(damaged, r"\.dir: expected an object of data/cube\.zarr, found nothing; publish")

    @pytest.mark.parametrize("kind", ["listing", "zarr.json"])
    def test_what_is_damaged_and_has_no_checksum_of_its_own(self, damaged, kind):
        path = stored(damaged, "zarr.json")
        if kind == "listing":
            path = next((damaged / "published").rglob("*.dir"))
        path.write_bytes(path.read_bytes().replace(b'"', b"'", 1))
        refused(damaged, "expected an object of data/cube.zarr whose MD5 is its name, found MD5")

    def test_a_missing_shard(self, damaged):
        stored(damaged, SHARD).unlink()
        refused(damaged, r"expected an object of data/cube\.zarr, found nothing")
        with servers.small(damaged) as (url, _):
            refused(url, r"expected an object of data/cube\.zarr, found nothing")

    def test_a_shard_that_was_never_made(self, tmp_path):
        store = tmp_path / "cube.zarr"
        toy.write_cube(store)
        cube.shard_file(store, schema.CUBE["image"], (0, 0, 1, 2)).unlink()
        publish(tmp_path, store, "data/cube.zarr")
        refused(tmp_path, r"expected all its shards, found none at image/c/0/0/1/2/0/0/0/0; run `make repro`")

    @pytest.mark.parametrize(
        ("edit", "message"),
        [
            (lambda said: said.pop(SHARD), f"the files that its {MANIFEST} names, found another at {SHARD}"),
            (lambda said: said.update({SHARD: "0" * 32}), f"names, found another at {SHARD}"),
            (lambda said: said.update({"notes.txt": "0" * 32}), r"names, found another at notes\.txt"),
        ],
        ids=["less", "other", "more"],
    )
    def test_a_manifest_that_says_another_thing(self, study, tmp_path, edit, message):
        store = shutil.copytree(study.parent / "cube.zarr", tmp_path / "cube.zarr")
        said = json.loads((store / MANIFEST).read_text())
        edit(said)
        (store / MANIFEST).write_text(json.dumps(said))
        publish(tmp_path, store, "data/cube.zarr")
        refused(tmp_path, message)

    def test_a_store_of_an_older_version_has_no_manifest(self, study, tmp_path):
        store = shutil.copytree(study.parent / "cube.zarr", tmp_path / "cube.zarr")
        (store / MANIFEST).unlink()
        publish(tmp_path, store, "data/cube.zarr")
        opened = protoviz.open_published(tmp_path)
        with cube.open_cube(study.parent / "cube.zarr") as expected:
            assert opened.identical(expected)
        (store / MANIFEST).write_text("[]")
        publish(tmp_path, store, "data/cube.zarr")
        refused(tmp_path, f"{MANIFEST}: expected metadata of protoviz, found not a mapping from paths to MD5")

    def test_metadata_of_an_array_that_disagree(self, study, tmp_path):
        store = shutil.copytree(study.parent / "cube.zarr", tmp_path / "cube.zarr")
        path = store / "image" / "zarr.json"
        path.write_text(path.read_text().replace("sRGB", "BGR"))
        manifest.write(store)
        publish(tmp_path, store, "data/cube.zarr")
        refused(
            tmp_path, r"expected metadata of image as in its zarr\.json, found others at image/zarr\.json"
        )

    def test_what_has_no_metadata_of_arrays(self, study, tmp_path):
        store = shutil.copytree(study.parent / "cube.zarr", tmp_path / "cube.zarr")
        (store / "zarr.json").write_text("{}")
        publish(tmp_path, store, "data/cube.zarr")
        refused(tmp_path, r"zarr\.json: expected metadata of protoviz, found zarr\.json without the metadata")

    def test_a_shard_that_is_cut_off(self, damaged):
        path = stored(damaged, SHARD)
        path.write_bytes(path.read_bytes()[:20])
        refused(damaged, "expected 52 bytes, found 20")

    def test_small_arrays_are_compared_with_their_names(self, damaged):
        path = stored(damaged, "activation/c/1/1/1/2/0")
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(StudyError, match="whose MD5 is its name"):
            protoviz.open_published(damaged).activation.sel(**ADDRESS._asdict()).load()

    def test_a_shard_with_one_bit_changed(self, damaged):
        path = stored(damaged, SHARD)
        content = bytearray(path.read_bytes())
        chunk = len(content) - 100  # the last one, of layer2 channel 5; after it comes the index
        for place in (chunk, len(content) - 10):
            content[place] ^= 1
            path.write_bytes(content)
            with pytest.raises(StudyError, match="whose MD5 is its name"):  # read whole
                protoviz.open_published(damaged).image.sel(**ADDRESS._asdict()).load()
            with pytest.raises((ValueError, RuntimeError)):  # read in part
                prototype(protoviz.open_published(damaged))
            content[place] ^= 1
        path.write_bytes(content)
        prototype(protoviz.open_published(damaged))
