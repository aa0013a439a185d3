"""Published to object storage, pulled from there in a fresh clone, and read prototype by prototype."""

import re
import shutil

import fsspec
import pytest
from numpy.testing import assert_array_equal

import protoviz
from protoviz import digests
from protoviz.errors import StudyError
from protoviz.pipeline import dvc_lock, fetching
from protoviz.store import cube
from tests.reference import project, servers
from tests.reference import prototypes as toy

pytest.importorskip("dvc_s3", reason="dvc-s3 is not installed")
pytest.importorskip("moto", reason="moto is not installed")

pytestmark = pytest.mark.slow

ADDRESS = cube.Address("keepclr", 2, 1, 4)
SHARD = "image/c/1/1/1/2/0/0/0/0"  # of ADDRESS
STUDY = "s3://bucket/study"


@pytest.fixture(scope="module", autouse=True)
def forking(zygote):
    with project.forking(zygote):
        yield


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    """A client of a server that speaks S3, with an empty bucket; its address; the requests so far."""
    with servers.s3(tmp_path_factory.mktemp("s3")) as (url, requests), pytest.MonkeyPatch.context() as patch:
        for name, value in servers.s3_environment(url).items():
            patch.setenv(name, value)
        fetching._system.cache_clear()
        client = fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False)
        client.mkdir("bucket")
        yield client, url, requests
        fetching._system.cache_clear()


@pytest.fixture(scope="module")
def published(storage, tmp_path_factory):  # noqa: ARG001 - it starts the server
    """A study that was run and published to the bucket, for everybody to read."""
    folder = project.create(tmp_path_factory.mktemp("published") / "study")
    remote_at(folder, f"{STUDY}/published", acl="public-read")
    project.done(folder, "python", "-m", "protoviz", "repro")
    project.done(folder, "python", "-m", "protoviz", "publish")
    project.done(folder, "git", "add", "--all")
    project.done(folder, "git", "commit", "--quiet", "--message", "published")
    return folder


@pytest.fixture
def clone(published, tmp_path):
    """A fresh clone."""
    project.done(published, "git", "clone", "--quiet", "--no-hardlinks", ".", str(tmp_path / "clone"))
    return tmp_path / "clone"


@pytest.fixture(scope="module")
def pulled(published, tmp_path_factory):
    """A fresh clone after `dvc pull`; tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("pulled") / "clone"
    project.done(published, "git", "clone", "--quiet", "--no-hardlinks", ".", str(folder))
    project.done(folder, "dvc", "pull")
    return folder


@pytest.fixture
def whole(pulled, tmp_path):
    return shutil.copytree(pulled, tmp_path / "whole", symlinks=True)


def remote_at(folder, url, **options):
    """Make the storage the default remote."""
    project.done(folder, "dvc", "remote", "add", "--default", "storage", url)
    for name, value in options.items():
        project.done(folder, "dvc", "remote", "modify", "storage", name, str(value))


def prototype(read):
    at = read.sel(**ADDRESS._asdict()).sel(layer="layer2", channel=5)
    assert_array_equal(at.image.to_numpy(), toy.shard(ADDRESS).image[4 + 5])


def stored(client, published, name):
    """Where the object of a file of the cube lies, in the bucket."""
    root = STUDY.removeprefix("s3://") + "/published"
    listing = client.cat_file(
        dvc_lock.object_path(root, dvc_lock.read(published).outputs["data/cube.zarr"].digest)
    )
    return dvc_lock.object_path(root, digests.listed(listing)[name])


def test_a_fresh_clone_pulls_all(pulled):
    assert project.done(pulled, "dvc", "status").strip() == "Data and pipelines are up to date."
    for output in dvc_lock.read(pulled).outputs.values():
        assert digests.of(pulled / output.path) == output.digest
    image = cube.open_cube(pulled / "data" / "cube.zarr").image.sel(**ADDRESS._asdict())
    assert_array_equal(image.to_numpy(), toy.shard(ADDRESS).image)


def test_dvc_push_to_a_bucket_of_ones_own(storage, whole):
    client, _, _ = storage
    client.mkdir("other")
    project.done(whole, "dvc", "remote", "add", "--local", "--default", "other", "s3://other")
    project.done(whole, "dvc", "push", "data/cube.zarr")
    shutil.rmtree(whole / "data")
    shutil.rmtree(whole / ".dvc" / "cache")
    project.done(whole, "dvc", "pull", "data/cube.zarr")
    assert project.done(whole, "dvc", "status", "--cloud", "data/cube.zarr").strip().endswith("in sync.")


@pytest.mark.parametrize("form", ["s3", "http"])
@pytest.mark.usefixtures("published")
def test_one_prototype_takes_three_requests_at_most(storage, form):
    _, url, requests = storage
    read = protoviz.open_published(STUDY if form == "s3" else f"{url}/bucket/study")
    before = len(requests())
    prototype(read)
    asked = requests()[before:]
    assert 1 <= len(asked) <= 3, asked
    assert all('"GET /bucket/study/published/' in line and " 206 " in line for line in asked), asked


def test_objects_in_a_bucket_and_the_rest_in_a_clone(clone):
    prototype(protoviz.open_published(clone, remote=f"{STUDY}/published"))


def test_a_bucket_under_another_name_gets_no_lock_file(storage, whole):
    client, _, _ = storage
    client.mkdir("third")
    project.done(whole, "dvc", "remote", "add", "--local", "--default", "third", "s3://third/objects")
    project.done(whole, "python", "-m", "protoviz", "publish")
    assert client.ls("third") == ["third/objects"]
    assert [path.rpartition("/")[2] for path in client.ls("bucket/study")] == ["dvc.lock", "published"]


class TestRefused:
    def refused(self, message, address=STUDY, **other):
        fetching._system.cache_clear()
        with pytest.raises(StudyError, match=message) as caught:
            prototype(protoviz.open_published(address, **other))
        assert "\n" not in str(caught.value)

    def publish(self, folder):
        result = project.call(folder, "python", "-m", "protoviz", "publish")
        assert result.returncode == 1
        (line,) = result.stderr.splitlines()
        return line

    @pytest.fixture
    def ready(self, published, tmp_path):
        """A copy of the study that could be published again."""
        return shutil.copytree(published, tmp_path / "study", symlinks=True)

    @pytest.fixture
    def without(self, monkeypatch):
        """No credentials."""
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    @pytest.mark.usefixtures("published", "without")
    def test_no_credentials(self, storage, monkeypatch):
        self.refused(
            f"^{STUDY}/dvc.lock: expected credentials for S3, found Unable to locate credentials; set AWS_"
        )
        prototype(protoviz.open_published(f"{storage[1]}/bucket/study"))
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "now")
        prototype(protoviz.open_published(STUDY))  # without a new process

    @pytest.mark.usefixtures("without")
    def test_no_credentials_to_publish(self, ready):
        assert re.match(
            "the default remote of DVC: expected one that can be .*credentials", self.publish(ready)
        )

    @pytest.mark.usefixtures("published")
    def test_no_bucket(self, storage):
        self.refused(
            "s3://none/study/dvc.lock: expected a bucket, found The specified bucket does not exist; check",
            "s3://none/study",
        )
        self.refused("expected the dvc.lock of a repository .*found nothing", f"{storage[1]}/none/study")
        self.refused("expected the dvc.lock of a repository .*found nothing", "s3://bucket/none")

    def test_no_bucket_to_publish_to(self, ready):
        project.done(ready, "dvc", "remote", "modify", "storage", "url", "s3://none/published")
        assert re.match("the default remote of DVC: expected one that can be .*bucket", self.publish(ready))

    def test_what_not_everybody_may_read(self, storage):
        client, url, _ = storage
        client.pipe_file("bucket/private/dvc.lock", b"stages: {}")
        self.refused(
            "dvc.lock: expected a file that everybody may read, found 403.*; make it public",
            f"{url}/bucket/private",
        )

    @pytest.mark.parametrize("form", ["s3", "http"])
    def test_a_missing_and_a_damaged_object(self, storage, published, form):
        client, url, _ = storage
        address = STUDY if form == "s3" else f"{url}/bucket/study"
        for name in (SHARD, "zarr.json"):
            where = stored(client, published, name)
            content = client.cat_file(where)
            try:
                client.rm_file(where)
                self.refused(f"{where}: expected an object of data/cube.zarr, found nothing", address)
                client.pipe_file(where, content[:20], ACL="public-read")
                self.refused("expected 52 bytes, found 20|whose MD5 is its name, found MD5", address)
            finally:
                client.pipe_file(where, content, ACL="public-read")
        prototype(protoviz.open_published(address))

    def test_a_damaged_object_is_not_pulled(self, storage, published, clone):
        client, _, _ = storage
        where = stored(client, published, SHARD)
        content = client.cat_file(where)
        project.done(clone, "dvc", "remote", "modify", "--local", "storage", "verify", "true")
        try:
            client.pipe_file(where, content[:-1] + bytes([content[-1] ^ 1]), ACL="public-read")
            assert project.call(clone, "dvc", "pull", "data/cube.zarr").returncode != 0
        finally:
            client.pipe_file(where, content, ACL="public-read")
        project.done(clone, "dvc", "pull", "data/cube.zarr")
