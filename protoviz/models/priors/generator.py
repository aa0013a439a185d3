"""The image prior that the pipeline trains: a small decoder of whitened features."""

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from protoviz.models import safetensors_io

_KIND = "generator"

DRAWN = 12  # channels that hold an RGB image of twice their size
_CONTRAST = 4  # the sigmoid of 4 (x - 1/2) is x to first order


@dataclass(frozen=True)
class Shape:
    """What fixes the decoder's architecture: the size of its latent, its width, and its image size (px)."""

    latent_size: int
    width: int
    image_size: int


class Decoder(nn.Module):
    """Latents (B, latent_size) to RGB images (B, 3, image_size, image_size) in [0, 1].

    A linear map draws the image at half its size, as twelve channels at a quarter of it, beside
    further channels; convolutions then sharpen it. The decoder begins as the best linear one
    (`draw_linearly`), so that training starts from a recognisable image. Nearly all operations are at a
    quarter of the size, so that two cores can afford the millions of renderings of a study.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.latent_size, self.image_size = shape.latent_size, shape.image_size
        self.cells = shape.image_size // 4
        fine = max(1, shape.width // 2)
        self.expand = nn.Linear(shape.latent_size, shape.width * self.cells**2)
        self.conv1 = nn.Conv2d(shape.width, shape.width, 3, padding=1)
        self.conv2 = nn.Conv2d(shape.width, shape.width, 3, padding=1)
        self.conv3 = nn.Conv2d(shape.width, 4 * fine, 3, padding=1)
        self.paint = nn.Conv2d(fine + 3, 4 * 3, 3, padding=1)

    def draw_linearly(self, latents: Tensor, images: Tensor) -> None:
        """Set the weights to those of the best linear decoder of these latents (least squares).

        Args:
            latents: (N, latent_size) with zero mean and identity covariance.
            images: (N, 3, H, W) in [0, 1], to which the latents belong.
        """
        half = functional.avg_pool2d(images, 2)
        drawn = functional.pixel_unshuffle(_CONTRAST * (half - 0.5), 2).flatten(1)
        with torch.no_grad():
            self.expand.weight[: drawn.shape[1]] = (drawn - drawn.mean(0)).T @ latents / len(latents)
            self.expand.bias[: drawn.shape[1]] = drawn.mean(0)
            for parameter in self.paint.parameters():
                parameter.zero_()
            for colour in range(3):  # each drawn pixel becomes four
                self.paint.weight[4 * colour : 4 * colour + 4, -3 + colour, 1, 1] = 1

    def forward(self, latents: Tensor) -> Tensor:
        """Logits of the image, (B, 3, H, W)."""
        x = self.expand(latents).view(-1, self.shape.width, self.cells, self.cells)
        drawn = functional.pixel_shuffle(x[:, :DRAWN], 2)
        x = _bend(self.conv1(x))
        x = _bend(self.conv2(x))
        x = _bend(functional.pixel_shuffle(self.conv3(x), 2))
        return functional.pixel_shuffle(self.paint(torch.cat([x, drawn], 1)), 2)

    def render(self, latents: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [0, 1]."""
        return torch.sigmoid(self(latents))


def _bend(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, 0.2, inplace=True)


def save(target: str | Path, decoder: Decoder) -> None:
    """Write the decoder's weights and shape; the same input gives the same bytes."""
    safetensors_io.write(target, decoder, _KIND, asdict(decoder.shape))


def load(source: str | Path, device: torch.device | str = "cpu") -> Decoder:
    """Read a decoder, frozen.

    Raises:
        StudyError: there is no such file, or `save` did not write it.
    """
    tensors, about = safetensors_io.read(source, _KIND, device)
    try:
        decoder = Decoder(Shape(**about))
        decoder.load_state_dict(tensors)
    except (TypeError, RuntimeError) as error:
        raise safetensors_io.unfit(source, _KIND, error) from error
    return decoder.to(device).eval().requires_grad_(False)
