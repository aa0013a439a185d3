"""Published, fetched, damaged, restored: with real DVC, git, nginx and OpenSSH on a toy study."""

import re
import shutil

import pytest
from numpy.testing import assert_array_equal

import protoviz
from protoviz import digests
from protoviz.pipeline import dvc_lock
from protoviz.store import cube
from tests.reference import project, servers
from tests.reference import prototypes as toy

pytestmark = pytest.mark.slow

ADDRESS = cube.Address("keepclr", 2, 1, 4)


@pytest.fixture(scope="module", autouse=True)
def forking(zygote):
    with project.forking(zygote):
        yield


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A study that was run, published into its own repository and committed."""
    folder = project.create(tmp_path_factory.mktemp("published") / "study")
    project.done(folder, "python", "-m", "protoviz", "repro")
    printed = project.done(folder, "python", "-m", "protoviz", "publish")
    assert re.search(r"^data/cube\.zarr +\d\.\d+ +0\.\d+$", printed, re.MULTILINE), printed
    project.done(folder, "git", "add", "--all")
    project.done(folder, "git", "commit", "--quiet", "--message", "published")
    return folder


@pytest.fixture
def study(published, tmp_path):
    """A copy of it to work in, the cache included."""
    return shutil.copytree(published, tmp_path / "study", symlinks=True)


@pytest.fixture
def clone(published, tmp_path):
    """A fresh clone."""
    project.done(published, "git", "clone", "--quiet", "--no-hardlinks", ".", str(tmp_path / "clone"))
    return tmp_path / "clone"


def pulled(clone):
    """Pull, and see that all is there and clean."""
    project.done(clone, "dvc", "pull")
    assert project.done(clone, "dvc", "status").strip() == "Data and pipelines are up to date."
    for output in dvc_lock.read(clone).outputs.values():
        assert digests.of(clone / output.path) == output.digest
    image = cube.open_cube(clone / "data" / "cube.zarr").image.sel(**ADDRESS._asdict())
    assert_array_equal(image.to_numpy(), toy.shard(ADDRESS).image)


def remote_at(folder, url, **options):
    """Make another default remote of a clone."""
    project.done(folder, "dvc", "remote", "add", "--local", "--default", "other", url)
    for name, value in options.items():
        project.done(folder, "dvc", "remote", "modify", "--local", "other", name, str(value))


class TestPull:
    def test_fresh_clone(self, clone):
        pulled(clone)
        assert project.ran(clone) == []
        assert "Nothing to run" in project.done(clone, "python", "-m", "protoviz", "repro")
        assert project.done(clone, "git", "status", "--porcelain") == ""

    def test_from_nginx(self, published, clone, tmp_path):
        shutil.rmtree(clone / "published")
        with servers.nginx(published, tmp_path / "nginx") as url:
            remote_at(clone, f"{url}/published")
            pulled(clone)
            read = protoviz.open_published(url)
            assert_array_equal(read.image.sel(**ADDRESS._asdict()).to_numpy(), toy.shard(ADDRESS).image)

    def test_from_openssh(self, published, clone, tmp_path):
        shutil.rmtree(clone / "published")
        with servers.sshd(tmp_path / "sshd") as (port, user, key):
            url = f"ssh://127.0.0.1{published}/published"
            remote_at(clone, url, port=port, user=user, keyfile=key)
            pulled(clone)

    def test_damaged_object_is_not_taken_for_data(self, clone):
        objects = [path for path in (clone / "published").rglob("*") if path.is_file()]
        target = max(objects, key=lambda path: path.stat().st_size)
        target.chmod(0o644)
        content = bytearray(target.read_bytes())
        content[1000] ^= 1
        target.write_bytes(content)
        result = project.call(clone, "dvc", "pull")
        assert result.returncode != 0
        digest = target.parent.name + target.name
        for file in (path for path in (clone / "data").rglob("*") if path.is_file()):
            assert digests.of_file(file) != digests.md5(bytes(content)), f"{file} was damaged by {digest}"

    def test_missing_object_is_an_error(self, clone):
        next((clone / "published").rglob("*.dir")).unlink()
        assert project.call(clone, "dvc", "pull").returncode != 0


class TestPublish:
    def test_what_is_stale_is_not_published(self, study):
        project.change(study, project.KEEP, "keep: [0, 2, 3, 4]")
        result = project.protoviz(study, "publish")
        assert result.returncode == 1
        assert result.stderr.startswith("the study: expected results that are up to date")

    def test_too_much_is_not_published(self, study):
        shutil.rmtree(study / "published")
        result = project.protoviz(study, "publish", "--limit", "0.1")
        assert result.returncode == 1
        message = r"^published: expected at most 0\.1 MB in the repository, found \d\.\d \(data/"
        assert re.match(message, result.stderr), result.stderr
        assert not (study / "published").exists()

    def test_older_publications_count(self, study):
        project.change(study, project.KEEP, "keep: [0, 2]")
        project.done(study, "python", "-m", "protoviz", "repro")
        result = project.protoviz(study, "publish", "--limit", "0.1")
        assert re.search(r"and \d\.\d of older publications\).*`dvc gc --workspace --cloud`", result.stderr)

    def test_dry_run_pushes_nothing(self, study):
        shutil.rmtree(study / "published")
        printed = project.done(study, "python", "-m", "protoviz", "publish", "--dry-run")
        assert printed.splitlines()[0].split() == ["output", "MB", "MB", "more"]
        assert not (study / "published").exists()

    def test_some_outputs_alone(self, study, tmp_path):
        """What is not published is said to be missing; what is, is whole."""
        shutil.rmtree(study / "published")
        printed = project.done(study, "python", "-m", "protoviz", "publish", PART_STORE)
        assert [line.split()[0] for line in printed.splitlines()[1:3]] == [PART_STORE, "all"]
        project.done(study, "git", "add", "--all")
        project.done(study, "git", "commit", "--quiet", "--message", "one store")
        clone = tmp_path / "clone"
        project.done(study, "git", "clone", "--quiet", ".", str(clone))
        project.done(clone, "dvc", "pull", PART_STORE)
        project.done(clone, "python", "-m", "protoviz", "verify", PART_STORE)
        assert project.call(clone, "dvc", "pull", "data/cube.zarr").returncode != 0
        project.done(clone, "dvc", "pull", "--allow-missing")
        assert not (clone / "data" / "cube.zarr").exists()

    def test_what_is_no_output_is_not_published(self, study):
        result = project.protoviz(study, "publish", "data/nothing")
        assert result.returncode == 1
        assert result.stderr.startswith("data/nothing: expected an output of a stage that DVC keeps")

    def test_to_a_remote_elsewhere(self, study, tmp_path):
        remote_at(study, str(tmp_path / "elsewhere"))
        project.done(study, "python", "-m", "protoviz", "publish", "--limit", "0.001")
        read = protoviz.open_published(study, remote=str(tmp_path / "elsewhere"))
        assert_array_equal(read.image.sel(**ADDRESS._asdict()).to_numpy(), toy.shard(ADDRESS).image)


SHARD = "data/cube.zarr/image/c/1/1/1/2/0/0/0/0"  # of ADDRESS
PART_STORE = "data/prototypes/keepclr-2.zarr"
PART = "data/prototypes/keepclr-2.zarr/image/c/0/0/1/2/0/0/0/0"  # the same file


def damage(path):
    """One bit, in place: where the file is a link into the cache, the cache is damaged with it."""
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)


def advice(result):
    """The commands that `protoviz verify` prints."""
    _, _, commands = result.stdout.partition("in this order:\n")
    return [line.strip() for line in commands.splitlines()]


def restored(study, result):
    """Follow the advice, then verify."""
    for command in advice(result):
        project.done(study, "bash", "-c", command)
    again = project.protoviz(study, "verify")
    assert again.returncode == 0, again.stdout
    assert "damaged" not in again.stdout


class TestVerify:
    def test_whole(self, study):
        result = project.protoviz(study, "verify")
        assert result.returncode == 0, result.stdout
        assert len(result.stdout.splitlines()) == len(dvc_lock.read(study).outputs)

    def test_damage_in_a_link_is_restored_from_the_remote(self, study):
        project.done(study, "dvc", "checkout", "--relink")
        assert (study / SHARD).stat().st_nlink > 1, "a link into the cache"
        damage(study / SHARD)
        result = project.protoviz(study, "verify", "data/cube.zarr", "data/prototypes/keepclr-2.zarr")
        assert result.returncode == 1
        lines = result.stdout.splitlines()
        assert lines[0] == "data/cube.zarr: damaged"
        assert lines[1].startswith(f"  {ADDRESS}: image is damaged: ")
        assert len(advice(result)) == 2 or "data/prototypes/keepclr-2.zarr: whole" in lines
        assert "dvc pull data/cube.zarr" in advice(result)[0]
        restored(study, result)

    def test_damage_in_a_copy_is_restored_from_the_cache(self, study):
        shutil.copy(study / SHARD, study / "copy")
        (study / SHARD).unlink()
        shutil.move(study / "copy", study / SHARD)
        damage(study / SHARD)
        result = project.protoviz(study, "verify")
        assert advice(result) == ["rm -rf data/cube.zarr && dvc checkout data/cube.zarr"]
        restored(study, result)

    def test_damage_without_a_remote_is_restored_by_the_stage(self, study):
        shutil.rmtree(study / "published")
        project.done(study, "dvc", "checkout", "--relink")
        damage(study / PART)
        result = project.protoviz(study, "verify")
        assert any("dvc repro --force --single-item synthesize@keepclr-2" in line for line in advice(result))
        restored(study, result)

    def test_missing_shard(self, study):
        (study / SHARD).unlink()
        result = project.protoviz(study, "verify")
        assert f"  {ADDRESS}: no shard of image\n" in result.stdout
        restored(study, result)

    def test_wrong_coordinate(self, study):
        """Labels that are of the right form but not those of the study: every checksum is right."""
        store = study / "data" / "prototypes" / "keepclr-2.zarr"
        shutil.rmtree(store)
        toy.write_cube(store, toy.template(("keepclr",), (2,), (0, 1), (0, 2, 5)))
        result = project.protoviz(study, "verify", "data/prototypes/keepclr-2.zarr")
        assert "  coordinate epoch: [0, 2, 5], where dvc.lock has [0, 2, 4]\n" in result.stdout
        assert "  coordinate epoch: changed since" not in result.stdout
        restored(study, result)

    def test_store_of_another_network(self, study):
        prototypes = study / "data" / "prototypes"
        shutil.rmtree(prototypes / "keepclr-2.zarr")
        shutil.copytree(prototypes / "clrjit-1.zarr", prototypes / "keepclr-2.zarr")
        result = project.protoviz(study, "verify", "data/prototypes/keepclr-2.zarr")
        assert "  coordinate condition: ['clrjit'], where dvc.lock has ['keepclr']\n" in result.stdout
        assert "  coordinate run: [1], where dvc.lock has [2]\n" in result.stdout

    def test_checkpoint_of_another_training(self, study):
        path = study / "data" / "checkpoints" / "clrjit-1" / "epoch_0002.safetensors"
        path.unlink()
        path.write_text("another")
        result = project.protoviz(study, "verify")
        assert (
            "data/checkpoints/clrjit-1: damaged\n  file epoch_0002.safetensors: changed since"
            in result.stdout
        )
        assert "  condition clrjit, run 1, epoch 2: made from another checkpoint than data/" in result.stdout

    def test_pixels_changed_with_care(self, study):
        """All checksums right, the image another one: the manifest knows, and of that dvc.lock."""
        import zarr

        store = study / "data" / "prototypes" / "clrjit-1.zarr"
        shutil.copytree(store, study / "copy.zarr")
        shutil.rmtree(store)
        shutil.copytree(study / "copy.zarr", store)
        for file in store.rglob("*"):
            file.chmod(0o755)
        image = zarr.open_array(store / "image", mode="r+")
        image[0, 0, 1, 1, 0, 0, 0] = 255 - image[0, 0, 1, 1, 0, 0, 0]
        result = project.protoviz(study, "verify", "data/prototypes/clrjit-1.zarr")
        where = "condition clrjit, run 1, repeat 1, epoch 2: image"
        assert [line for line in result.stdout.splitlines() if line.startswith("  cond")] == [
            f"  {where}: changed since it was written"
        ]
        cube.finish(store)
        result = project.protoviz(study, "verify", "data/prototypes/clrjit-1.zarr")
        assert f"  {where}: changed since synthesize@clrjit-1 made it\n" in result.stdout
        made = "  file activation/manifest.json: changed since synthesize@clrjit-1 made it\n"
        assert made in result.stdout


class TestRemoved:
    def test_removed_condition_leaves_nothing(self, study):
        text = (study / "params.yaml").read_text()
        project.ran(study)
        project.change(study, "  keepclr: {cj_prob: 0.0, random_gray_scale: 0.0}\n", "")
        printed = project.done(study, "python", "-m", "protoviz", "repro")
        gone = ["data/checkpoints/keepclr-1", "data/prototypes/keepclr-2.zarr", "metrics/keepclr.json"]
        for path in gone:
            assert f"{path}: removed, as no stage makes it any more" in printed
            assert not (study / path).exists()
        assert sorted(project.ran(study)) == ["cube", "curves", "metrics@clrjit"]
        assert cube.open_cube(study / "data" / "cube.zarr").condition.to_numpy().tolist() == ["clrjit"]
        assert not [name for name in dvc_lock.read(study).stages if "keepclr" in name]
        assert project.done(study, "dvc", "status").strip() == "Data and pipelines are up to date."

        (study / "params.yaml").write_text(text)  # back again, out of the cache
        project.done(study, "python", "-m", "protoviz", "repro")
        assert not [name for name in project.ran(study) if name.startswith(("train", "synthesize"))]

    def test_removed_run_leaves_nothing(self, study):
        project.change(study, project.RUNS, "runs: [2]")
        printed = project.done(study, "python", "-m", "protoviz", "repro")
        assert "data/checkpoints/clrjit-1: removed" in printed
        assert not list((study / "data").glob("*/*-1*"))

    def test_added_run_runs_only_its_own_stages(self, study):
        project.ran(study)
        project.change(study, project.RUNS, "runs: [1, 2, 3]")
        project.done(study, "python", "-m", "protoviz", "repro")
        items = [f"{stage}@{c}-3" for stage in ("synthesize", "train") for c in ("clrjit", "keepclr")]
        assert sorted(project.ran(study)) == sorted(
            [*items, "cube", "curves", "metrics@clrjit", "metrics@keepclr"]
        )

    def test_what_is_in_no_cache_is_not_removed(self, study):
        stray = study / "data" / "prototypes" / "mine.zarr"
        stray.mkdir()
        (stray / "zarr.json").write_text("{}")
        result = project.protoviz(study, "repro")
        assert result.returncode == 1
        assert result.stderr.startswith("data/prototypes/mine.zarr: expected nothing: no stage makes it")
        assert stray.exists()
