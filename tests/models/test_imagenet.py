"""The ten ImageNet networks: what they are, and weight files in the form that torchvision publishes."""

import hashlib
import shutil

import numpy as np
import pytest
import torch
from torchvision import models

from protoviz.analysis import embedders
from protoviz.errors import StudyError
from protoviz.models import download, imagenet
from protoviz.models.imagenet import NETWORKS
from protoviz.models.resnet import IMAGENET_MEAN, IMAGENET_STD
from tests.reference import weight_files

NAME = "mobilenet_v2"
ALL = pytest.mark.parametrize("name", list(NETWORKS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the weights of one network, named after their own digest."""
    path = tmp_path_factory.mktemp("weights")
    weight_files.write(path, NAME)
    return path


def load(name, folder):
    setting = embedders.Setting(folder / "none", "cpu", 1, 4, weights=folder)
    return embedders.load([name], setting)[name]


@ALL
def test_files_are_those_that_torchvision_publishes(name):
    weights = models.get_model_weights(name).IMAGENET1K_V1
    assert weights.url.rsplit("/", 1)[1] == NETWORKS[name].file
    transform = weights.transforms()
    assert NETWORKS[name].size == transform.crop_size[0]
    if name != "inception_v3":  # whose own shift of the input is part of ours
        assert tuple(transform.mean) == NETWORKS[name].mean
        assert tuple(transform.std) == NETWORKS[name].std


@ALL
def test_vectors_come_from_before_the_classifier(name):
    with torch.device("meta"):
        plain = imagenet._build(name).eval()
    space = NETWORKS[name]
    classifier = plain.get_submodule(space.classifier)
    assert isinstance(classifier, torch.nn.Linear)
    assert (classifier.in_features, classifier.out_features) == (space.dimensions, 1000)
    if name == "inception_v3":
        plain.AuxLogits = None
    last = [part for part in plain.modules() if isinstance(part, torch.nn.Linear)][-1]
    assert classifier is last


def test_vectors_are_what_the_classifier_is_given(folder):
    state = torch.load(next(folder.iterdir()), weights_only=True)
    plain = models.mobilenet_v2(weights=None)
    plain.load_state_dict(state)
    plain.eval()
    images = np.random.default_rng(0).random((2, 48, 48, 3), dtype=np.float32)
    resized = torch.nn.functional.interpolate(
        torch.from_numpy(images).permute(0, 3, 1, 2), (224, 224), mode="bilinear", antialias=True
    )
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    given = []
    plain.classifier[1].register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    with torch.inference_mode():
        plain((resized - mean) / std)
    found = load(NAME, folder)(images)
    assert found.shape == (2, 1280)
    np.testing.assert_allclose(found, given[0].numpy(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("size", [224, 60])
def test_masked_images_are_masked_before_they_are_resized_and_normalised(folder, size):
    rng = np.random.default_rng(0)
    images = rng.random((2, size, size, 3), dtype=np.float32)
    mask = rng.random((size, size), dtype=np.float32)
    embed = load(NAME, folder)
    found, wanted = embed(images, mask), embed(images * mask[..., None])
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max())


def test_inceptions_normalisation_is_that_of_its_weights():
    """Torchvision turns ImageNet's normalisation into the one that the network was trained with."""
    images = torch.rand(2, 3, 9, 9)
    with torch.device("meta"):
        plain = models.inception_v3(weights=None, init_weights=False, transform_input=True)
    ours, usual = NETWORKS["inception_v3"], NETWORKS["resnet50"]

    def normal(space):
        mean, std = (torch.tensor(values)[:, None, None] for values in (space.mean, space.std))
        return (images - mean) / std

    torch.testing.assert_close(normal(ours), plain._transform_input(normal(usual)))


class TestWeights:
    def test_another_version_in_the_folder_is_taken(self, folder):
        assert imagenet.weight_file(NAME, folder) == next(folder.iterdir())

    def test_without_a_file_nothing_is_made_up(self, folder):
        with pytest.raises(
            StudyError, match=r"resnet50-0676ba61\.pth: expected torchvision.s weight file, found nothing"
        ):
            load("resnet50", folder)

    def test_two_versions_are_one_too_many(self, folder, tmp_path):
        for digest in ("00000000", "11111111"):
            shutil.copy(next(folder.iterdir()), tmp_path / f"{NAME}-{digest}.pth")
        with pytest.raises(StudyError, match=rf"found 2 others \({NAME}-00000000.pth, {NAME}-11111111.pth\)"):
            load(NAME, tmp_path)

    def test_a_file_that_is_not_what_its_name_says(self, folder, tmp_path):
        path = tmp_path / NETWORKS[NAME].file
        shutil.copy(next(folder.iterdir()), path)
        with pytest.raises(
            StudyError, match=rf"{path.name}: expected a SHA-256 that begins with b0353104, as its"
        ):
            load(NAME, tmp_path)

    def test_a_damaged_file(self, folder, tmp_path):
        path = tmp_path / next(folder.iterdir()).name
        content = bytearray(next(folder.iterdir()).read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        with pytest.raises(StudyError, match="expected a SHA-256 that begins with"):
            load(NAME, tmp_path)

    def test_weights_of_another_network(self, tmp_path):
        torch.save(models.get_model("squeezenet1_1", weights=None).state_dict(), tmp_path / "w")
        weight_files.rename(tmp_path / "w", "mobilenet_v2")
        with pytest.raises(
            StudyError, match=r"expected torchvision's weights of mobilenet_v2, found no features"
        ):
            load(NAME, tmp_path)

    def test_a_tensor_of_another_shape(self, folder, tmp_path):
        state = torch.load(next(folder.iterdir()), weights_only=True)
        state["features.0.0.weight"] = torch.zeros(32, 3, 5, 5)
        torch.save(state, tmp_path / "w")
        weight_files.rename(tmp_path / "w", NAME)
        with pytest.raises(
            StudyError, match=r"features.0.0.weight of shape \(32, 3, 5, 5\) \(not \(32, 3, 3, 3\)\)"
        ):
            load(NAME, tmp_path)

    def test_code_is_not_run(self, tmp_path):
        torch.save({"features": shutil.rmtree}, tmp_path / "w")
        weight_files.rename(tmp_path / "w", NAME)
        with pytest.raises(StudyError, match="found code that loading would run"):
            load(NAME, tmp_path)

    def test_untrained_only_by_name(self, tmp_path):
        one, other = (imagenet.load(f"{NAME}:untrained", tmp_path) for _ in range(2))
        for name, value in one.state_dict().items():
            assert torch.equal(value, other.state_dict()[name])
        with pytest.raises(StudyError, match="ask for the network with ':untrained' after its name"):
            imagenet.load(NAME, tmp_path)

    def test_asking_for_untrained_does_not_disturb_other_random_numbers(self):
        torch.manual_seed(3)
        expected = torch.rand(3)
        torch.manual_seed(3)
        imagenet.load(f"{NAME}:untrained")
        assert torch.equal(torch.rand(3), expected)

    def test_old_names_of_densenets_are_understood(self):
        old = "features.denseblock2.denselayer12.norm.1.running_mean"
        new = "features.denseblock2.denselayer12.norm1.running_mean"
        kept = ["features.transition1.norm.weight", "features.denseblock1.denselayer1.conv2.weight"]
        found = imagenet._renamed({name: torch.zeros(()) for name in [old, *kept]})
        assert set(found) == {new, *kept}
        with torch.device("meta"):
            assert new in models.densenet169(weights=None).state_dict()

    def test_without_a_folder_they_are_fetched_and_checked(self, folder, tmp_path, monkeypatch):
        source = next(folder.iterdir())
        asked = []
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        monkeypatch.setattr(imagenet, "_address", lambda name: asked.append(name) or source.as_uri())
        with pytest.raises(StudyError, match="expected SHA-256 b0353104"):  # torchvision's own digest
            imagenet.weight_file(NAME)
        assert asked == [NAME]
        (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
        kept = tmp_path / "hub" / "checkpoints" / NETWORKS[NAME].file
        shutil.copy(source, kept)
        with pytest.raises(StudyError, match="expected a SHA-256 that begins with b0353104"):
            imagenet.weight_file(NAME)
        assert asked == [NAME]  # what torchvision has fetched is not fetched again

    def test_a_digest_may_be_its_beginning(self, tmp_path):
        path = tmp_path / "w"
        path.write_bytes(b"weights")
        digest = hashlib.sha256(b"weights").hexdigest()
        assert download.local(path, sha256=digest[:8]) == path
        with pytest.raises(StudyError, match="SHA-256 00000000"):
            download.local(path, sha256="00000000")


@pytest.mark.slow
@ALL
def test_every_network_is_read_from_its_file_and_embeds(name, tmp_path):
    weight_files.write(tmp_path, name)
    images = np.random.default_rng(0).random((2, 40, 40, 3), dtype=np.float32)
    found = load(name, tmp_path)(images)
    assert found.shape == (2, NETWORKS[name].dimensions)
    assert np.isfinite(found).all()
    assert np.abs(found[0] - found[1]).max() > 0
