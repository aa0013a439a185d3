"""The image prior of the two studies: the generator of DeePSim that inverts fc6 of CaffeNet.

Dosovitskiy & Brox 2016, Generating Images with Perceptual Similarity Metrics based on Deep Networks
(arXiv:1602.02644). The weights are read from a file or fetched from where they are published; their
licence is not known, so they are never passed on.
"""

from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from protoviz import files
from protoviz.errors import StudyError
from protoviz.models import download, state_dicts

ADDRESS = "https://huggingface.co/binxu/DeePSim_DosovitskiyBrox2016/resolve/main/upconvGAN_fc6.pt"

LATENT = 4096
SIZE = 256  # px
MEAN = (123.0, 117.0, 104.0)  # R, G, B in grey levels, which the last layer's output is relative to

_SLOPE = 0.3  # of the leaky ReLU after every layer but the last
_CONTRAST = 60.0  # grey levels, standard deviation of the output of random weights


class _Convolution(NamedTuple):
    """A transposed convolution: kernel 4 doubles the map's side, kernel 3 keeps it. Padding is 1."""

    name: str
    inputs: int
    outputs: int
    kernel: int

    @property
    def stride(self) -> int:
        return 2 if self.kernel == 4 else 1


_LINEAR = ("defc7", "defc6", "defc5")
_CONVOLUTIONS = (
    _Convolution("deconv5", 256, 256, 4),  # from 4 x 4
    _Convolution("conv5_1", 256, 512, 3),
    _Convolution("deconv4", 512, 256, 4),
    _Convolution("conv4_1", 256, 256, 3),
    _Convolution("deconv3", 256, 128, 4),
    _Convolution("conv3_1", 128, 128, 3),
    _Convolution("deconv2", 128, 64, 4),
    _Convolution("deconv1", 64, 32, 4),
    _Convolution("deconv0", 32, 3, 4),  # to 256 x 256, B, G, R
)


class DeepSim(nn.Module):
    """Latents (B, 4096) to RGB images (B, 3, 256, 256) in [0, 1], frozen.

    image = clamp(output + MEAN, 0, 255) / 255 with the channels of the output reversed to R, G, B. The
    weights are converted in two ways that change no image but make operations fewer and simpler: the last
    layer itself gives R, G, B in [0, 1], and a transposed convolution of stride 1 becomes the convolution
    with the flipped kernel.

    Args:
        weights: in the published form (`build`), layer -> tensor; they are not changed.
        sha256: hex digest of the file that they are from, if there is one.
    """

    latent_size, image_size = LATENT, SIZE

    def __init__(self, weights: Mapping[str, Tensor], sha256: str | None = None) -> None:
        super().__init__()
        self.sha256 = sha256
        with torch.device("meta"):
            self.layers = _layers(nn.Conv2d)
        self.layers.load_state_dict(_converted(weights), assign=True)
        self.eval().requires_grad_(False)

    def render(self, latents: Tensor) -> Tensor:
        """Images (B, 3, 256, 256) in [0, 1]."""
        return self.layers(latents).clamp(0, 1)


def build(seed: int) -> nn.Sequential:
    """The network in the form whose state dict is published, with random weights that draw smooth images.

    Kernels of stride 2 interpolate linearly; others would cover every image with a checkerboard (Odena et
    al. 2016, https://doi.org/10.23915/distill.00003). On latents of N(0, I) every layer has unit variance
    and every channel zero mean (as in Salimans & Kingma 2016, arXiv:1602.07868, equation 5), and the images
    have the contrast of photographs.
    """
    with torch.device("meta"):
        network = _layers(nn.ConvTranspose2d)
    network = network.to_empty(device="cpu")
    draws = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        x = torch.randn(8, LATENT, generator=draws)
        for layer in network:
            if isinstance(layer, nn.Linear | nn.ConvTranspose2d):
                _fill(layer, x, draws)
            x = layer(x)
        for parameter in network[-1].parameters():
            parameter.mul_(_CONTRAST)
    return network


def _fill(layer: Any, x: Tensor, draws: torch.Generator) -> None:
    """Give a layer random weights with which its response to x has unit variance."""
    layer.weight.normal_(generator=draws)
    layer.bias.zero_()
    if layer.weight.shape[2:] == (4, 4):
        linear = torch.tensor([0.25, 0.75, 0.75, 0.25])
        layer.weight.copy_(layer.weight[:, :, :1, :1] * torch.outer(linear, linear))
    response = layer(x)
    if response.dim() == 4:
        layer.bias.copy_(-response.mean((0, 2, 3)))
    scale = layer(x).square().mean().sqrt()
    layer.weight.div_(scale)
    layer.bias.div_(scale)


def load(
    source: str | Path = ADDRESS,
    device: torch.device | str = "cpu",
    *,
    cache: str | Path | None = None,
    sha256: str | None = None,
) -> DeepSim:
    """The prior with the weights of a file. fc7 and fc6_eucl of the same authors have this form too.

    Args:
        source: path or address (https, http, file).
        device: where the prior computes.
        cache: folder that a fetched file is kept in; by default that of torch.hub.
        sha256: hex digest that the file must have; the digest it has is in the attribute `sha256`.

    Raises:
        StudyError: the file cannot be obtained (see `download.local`), holds code or is damaged; it lacks a
            layer, has one too many or one of another shape; or a value is not finite.
    """
    path = download.local(source, folder=cache, sha256=sha256)
    return DeepSim(_checked(path), files.sha256(path)).to(device)


def _layers(keeping: type[nn.ConvTranspose2d] | type[nn.Conv2d]) -> nn.Sequential:
    """The network; `keeping` is the kind of its convolutions that keep the side of the map."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for name in _LINEAR:
        layers[name] = nn.Linear(LATENT, LATENT)
        layers[f"relu_{name}"] = nn.LeakyReLU(_SLOPE, inplace=True)
    layers["reshape"] = nn.Unflatten(1, (256, 4, 4))
    for convolution in _CONVOLUTIONS:
        name, inputs, outputs, kernel = convolution
        kind = nn.ConvTranspose2d if convolution.stride == 2 else keeping
        layers[name] = kind(inputs, outputs, kernel, convolution.stride, 1)
        layers[f"relu_{name}"] = nn.LeakyReLU(_SLOPE, inplace=True)
    layers.popitem()  # the last layer is linear
    return nn.Sequential(layers)


def _converted(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of `DeepSim.layers`, converted from the published form."""
    converted = {name: tensor.detach().float() for name, tensor in weights.items()}
    for convolution in _CONVOLUTIONS:
        if convolution.stride == 1:
            name = f"{convolution.name}.weight"
            converted[name] = flipped(converted[name])
    kernel, bias = converted["deconv0.weight"], converted["deconv0.bias"]
    converted["deconv0.weight"] = kernel.flip(1) / 255
    converted["deconv0.bias"] = (bias.flip(0) + bias.new_tensor(MEAN)) / 255
    return converted


def flipped(kernel: Tensor) -> Tensor:
    """The kernel (out, in, h, w) of the convolution that equals a transposed one of stride 1 (in, out, h, w).

    This is exact: the same products are summed. If the transposed one has padding p, the convolution pads by
    h - 1 - p, here 1 as well.
    """
    return kernel.transpose(0, 1).flip(2, 3).contiguous()


def _checked(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by their published names."""
    refusal = partial(_unfit, path)
    state = state_dicts.read(path, refusal)
    # The layers may be those of an attribute `G`, and each may be the second part of a block.
    found = {name.removeprefix("G.").replace(".1.", "."): tensor for name, tensor in state.items()}
    with torch.device("meta"):
        published = _layers(nn.ConvTranspose2d).state_dict()
    state_dicts.require_fit(found, published, refusal)
    return found


def _unfit(path: Path, found: str) -> StudyError:
    return StudyError(
        str(path),
        expected="the weights of the DeePSim fc6 generator",
        found=found,
        remedy=f"delete it and take {ADDRESS}",
    )
