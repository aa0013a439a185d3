"""The ten ImageNet networks in whose spaces the paper compares prototypes (D2), with torchvision's weights.

The paper does not state layer, preprocessing and input size; they are chosen here, once and for all:

- the layer is the last one before the classifier, as avgpool is ResNet50's: the average-pooled features, or,
  for the VGG networks, which have none, the second fully connected layer after its ReLU;
- the whole image is resized to the network's input size (bilinear, antialiased): a crop, as in the networks'
  own evaluation, would cut off what a unit at the border of its field responds to;
- mean and deviation are those that the weights were trained with.

The weights are IMAGENET1K_V1, which the paper's authors had. A file is verified by the beginning of its
SHA-256, which its name contains, as torchvision's names do.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from protoviz import files, seeding
from protoviz.config.analysis import UNTRAINED
from protoviz.errors import StudyError
from protoviz.models import download, state_dicts
from protoviz.models.resnet import IMAGENET_MEAN, IMAGENET_STD
from protoviz.registry import lookup


@dataclass(frozen=True)
class Space:
    """What is known of a network.

    Attributes:
        file: torchvision's name of its weights, which ends in the first eight digits of their SHA-256.
        layer: what its vectors are, in words.
        dimensions: of its vectors.
        classifier: path of the module after that layer, which is left out.
        size: height and width of its images, px.
        mean, std: of the RGB values in [0, 1].
    """

    file: str
    layer: str
    dimensions: int
    classifier: str
    size: int = 224
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    @property
    def stem(self) -> str:
        """The file's name without the digest."""
        return self.file.rpartition("-")[0]


_SECOND = "classifier.4, the second linear layer's ReLU"
_HALF = (0.5, 0.5, 0.5)  # what torchvision's `transform_input` turns ImageNet's normalisation into

NETWORKS: dict[str, Space] = {
    "resnet50": Space("resnet50-0676ba61.pth", "avgpool", 2048, "fc"),
    "resnet101": Space("resnet101-63fe2227.pth", "avgpool", 2048, "fc"),
    "resnet152": Space("resnet152-394f9c45.pth", "avgpool", 2048, "fc"),
    "inception_v3": Space("inception_v3_google-0cc3c7bd.pth", "avgpool", 2048, "fc", 299, _HALF, _HALF),
    "vgg16": Space("vgg16-397923af.pth", _SECOND, 4096, "classifier.6"),
    "vgg19": Space("vgg19-dcbb9e9d.pth", _SECOND, 4096, "classifier.6"),
    "densenet121": Space("densenet121-a639ec97.pth", "average pool of the last ReLU", 1024, "classifier"),
    "densenet169": Space("densenet169-b2777c0a.pth", "average pool of the last ReLU", 1664, "classifier"),
    "densenet201": Space("densenet201-c1103571.pth", "average pool of the last ReLU", 1920, "classifier"),
    "mobilenet_v2": Space(
        "mobilenet_v2-b0353104.pth", "average pool of the last ReLU6", 1280, "classifier.1"
    ),
}


def load(name: str, folder: str | Path | None = None) -> nn.Module:
    """A network up to the layer of its vectors, frozen, in evaluation mode, on the CPU.

    Args:
        name: of `NETWORKS`; with ":untrained", fresh weights, the same each time.
        folder: where weight files lie; None: torch.hub's, and missing files are fetched.

    Raises:
        StudyError: there is no such network; its weights cannot be obtained, do not have the digest in their
            name, or are not those of this network.
    """
    architecture = name.removesuffix(UNTRAINED)
    space = lookup(NETWORKS, architecture, "ImageNet network")
    network = _untrained(architecture) if name.endswith(UNTRAINED) else _trained(architecture, folder)
    parent, _, last = space.classifier.rpartition(".")
    setattr(network.get_submodule(parent), last, nn.Identity())
    return network.eval().requires_grad_(False)


def weight_file(name: str, folder: str | Path | None = None) -> Path:
    """The checked weight file of a network; see `load`."""
    space = NETWORKS[name]
    if folder is None:
        kept = Path(torch.hub.get_dir()) / "checkpoints" / space.file  # where torchvision itself puts it
        if not kept.is_file():
            return download.local(_address(name), sha256=_digest(space.file))
        path = kept
    else:
        path = _in_folder(space, Path(folder))
    _require_digest(path)
    return path


def _in_folder(space: Space, folder: Path) -> Path:
    """The file of `Space.file`, or another version of the same network's, such as IMAGENET1K_V2."""
    if (folder / space.file).is_file():
        return folder / space.file
    pattern = re.compile(re.escape(space.stem) + r"-[0-9a-f]{8}\.pth")
    found = sorted(path for path in folder.glob(f"{space.stem}-*.pth") if pattern.fullmatch(path.name))
    if len(found) == 1:
        return found[0]
    raise StudyError(
        str(folder / space.file),
        expected="torchvision's weight file",
        found=f"{len(found)} others ({', '.join(path.name for path in found)})" if found else "nothing",
        remedy="put it there, set distances.weights to null to have it fetched, or ask for the network "
        f"with '{UNTRAINED}' after its name",
    )


def _require_digest(path: Path) -> None:
    found, named = files.sha256(path), _digest(path.name)
    if not found.startswith(named):
        raise StudyError(
            str(path),
            expected=f"a SHA-256 that begins with {named}, as its name says",
            found=found,
            remedy="it is damaged or another file: delete it and get it again",
        )


def _digest(file: str) -> str:
    return Path(file).stem.rpartition("-")[2]


def _address(name: str) -> str:
    from torchvision import models

    return str(models.get_model_weights(name).IMAGENET1K_V1.url)


def _build(name: str) -> nn.Module:
    from torchvision import models

    # As in the training of its weights; the shift of its input is part of `Space.mean` and `Space.std`.
    google = {"aux_logits": True, "init_weights": False, "transform_input": False}
    network: nn.Module = models.get_model(name, weights=None, **(google if name == "inception_v3" else {}))
    return network


def _untrained(name: str) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeding.seed("untrained", name))
        network = _build(name)
    if name == "inception_v3":
        network.AuxLogits = None  # type: ignore[assignment]
    return network


def _trained(name: str, folder: str | Path | None) -> nn.Module:
    path = weight_file(name, folder)
    with torch.device("meta"):  # shapes without numbers: drawing those of VGG takes seconds
        network = _build(name)

    def refusal(found: str) -> StudyError:
        return StudyError(
            str(path),
            expected=f"torchvision's weights of {name}",
            found=found,
            remedy="delete it and get it again",
        )

    wanted = network.state_dict()
    # Files older than these counts do not have them, and evaluation does not use them.
    counts = {key: torch.zeros((), dtype=torch.long) for key in wanted if key.endswith("num_batches_tracked")}
    found = counts | _renamed(state_dicts.read(path, refusal))
    state_dicts.require_fit(found, wanted, refusal)
    network.load_state_dict(found, assign=True)
    if name == "inception_v3":
        network.AuxLogits = None  # type: ignore[assignment]
    return network


def _renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """DenseNet's published files call "norm.1" what the network calls "norm1"."""
    return {
        re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.", r"\1\2.", name): tensor
        for name, tensor in state.items()
    }
