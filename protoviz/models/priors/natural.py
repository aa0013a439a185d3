"""The image prior that comes with protoviz: a decoder of whitened features, learnt from photographs.

It is trained by `protoviz train-prior` (`protoviz/learning/natural.py`) and described in
docs/natural_prior.md.
"""

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from protoviz.models import safetensors_io

SHIPPED = Path(__file__).with_name("natural.safetensors")
SHA256 = "78d52ad647adf3aafde76315227f6a0cb32e44c55b76803f7889402d38321d4e"

KIND = "natural prior"

_SLOPE = 0.2  # of the leaky ReLU after every layer but the last
_CONTRAST = 4  # the sigmoid of 4 (x - 1/2) is x to first order


@dataclass(frozen=True)
class Shape:
    """What fixes the decoder's architecture.

    Attributes:
        latent_size: of a latent.
        widths: channels of the maps; each map has twice the side of the one before it.
        image_size: side of the image, px, twice that of the last map.
    """

    latent_size: int
    widths: tuple[int, ...]
    image_size: int


class Natural(nn.Module):
    """Latents (B, latent_size) to RGB images (B, 3, image_size, image_size) in [0, 1].

    A linear map comes first, then for each further width a transposed convolution that doubles the side and a
    convolution that keeps it. The last convolution paints four pixels at each of its places; otherwise most
    of the operations would be those at the size of the image.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.latent_size, self.image_size = shape.latent_size, shape.image_size
        first, last = shape.widths[0], shape.widths[-1]
        cells = shape.image_size >> len(shape.widths)
        layers: list[nn.Module] = [
            nn.Linear(shape.latent_size, first * cells**2),
            nn.LeakyReLU(_SLOPE, inplace=True),
            nn.Unflatten(1, (first, cells, cells)),
        ]
        for inputs, outputs in pairwise(shape.widths):
            layers += [nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), nn.LeakyReLU(_SLOPE, inplace=True)]
            layers += [nn.Conv2d(outputs, outputs, 3, 1, 1), nn.LeakyReLU(_SLOPE, inplace=True)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(last, 4 * 3, 3, 1, 1), nn.PixelShuffle(2))

    def forward(self, latents: Tensor) -> Tensor:
        """Logits of the image, (B, 3, H, W)."""
        painted: Tensor = self.layers(latents)
        return _CONTRAST * painted

    def render(self, latents: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [0, 1]."""
        return torch.sigmoid(self(latents))


def initial(shape: Shape, draws: torch.Generator) -> Natural:
    """A decoder with random weights: for latents from N(0, I) every layer has about unit variance.

    He et al. 2015 (arXiv:1502.01852), equation 15. An output of a transposed convolution of stride 2 sums
    over 2 x 2 of the 4 x 4 places of its kernel.
    """
    decoder = Natural(shape)
    gain = nn.init.calculate_gain("leaky_relu", _SLOPE)
    with torch.no_grad():
        for layer in decoder.layers:
            if isinstance(layer, nn.ConvTranspose2d):
                terms = 4 * layer.in_channels
            elif isinstance(layer, nn.Linear | nn.Conv2d):
                terms = layer.weight[0].numel()
            else:
                continue
            layer.weight.normal_(0, gain / terms**0.5, generator=draws)
            assert layer.bias is not None
            layer.bias.zero_()
        # The first images are grey with little contrast.
        painter = decoder.layers[-2]
        assert isinstance(painter, nn.Conv2d)
        painter.weight.mul_(0.1)
    return decoder


def save(target: str | Path, decoder: Natural, training: Mapping[str, Any]) -> None:
    """Write the decoder's weights as float16, its shape, and a description of its training.

    The same input gives the same bytes.
    """
    about = {"shape": asdict(decoder.shape), "training": dict(training)}
    safetensors_io.write(target, copy.deepcopy(decoder).half(), KIND, about)


def load(
    source: str | Path | None = None, device: torch.device | str = "cpu", *, sha256: str | None = None
) -> Natural:
    """Read a decoder, frozen, in float32; its digest is in the attribute `sha256`.

    Args:
        source: a file of `save`; by default the one that comes with protoviz, whose digest is checked.
        device: where the prior computes.
        sha256: hex digest that the file must have.

    Raises:
        StudyError: there is no such file, it has another digest, or `save` did not write it.
    """
    wanted, remedy = sha256, "name the right file"
    if source is None:
        source, wanted, remedy = SHIPPED, sha256 or SHA256, "install protoviz again"
    found = safetensors_io.verified(source, wanted, remedy)
    tensors, about = safetensors_io.read(source, KIND, device)
    try:
        shape = about["shape"]
        decoder = Natural(Shape(**{**shape, "widths": tuple(shape["widths"])}))
        decoder.load_state_dict(tensors)
    except (KeyError, TypeError, RuntimeError) as error:
        raise safetensors_io.unfit(source, KIND, error) from error
    decoder.sha256 = found  # type: ignore[assignment]
    return decoder.to(device).eval().requires_grad_(False)
