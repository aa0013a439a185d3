"""Feature visualisation as in lucent, one unit per call: an image in the Fourier basis, climbed by Adam.

From the public code of greentfrapp/lucent, after tensorflow/lucid (Olah, Mordvintsev & Schubert 2017):
a spectrum of N(0, 0.01^2), scaled by 1/f, colours decorrelated, a sigmoid; padded with grey, jittered,
scaled, rotated and jittered again before every step; Adam at 0.05. The whole network runs, also what lies
past the layer, as its hooks need. It renders and back-propagates one unit at a time. Two things are
set for the comparison: images have the size of the network's input (its `fixed_image_size`), and the
number of steps is that of the other side, where lucent takes 512.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.pipeline import Pipeline, at_centre
from protoviz.models import resnet

LR = 0.05
DEVIATION = 0.01
CONTRAST = 4.0  # lucid's: images are divided by it before the sigmoid
GREY = 0.5
PADDING = 12  # px on each side
JITTERS = (8, 4)  # px, before and after the rotation
SCALES = tuple(1 + (step - 5) / 50 for step in range(11))
ANGLES = (*range(-10, 11), 0, 0, 0, 0, 0)  # degrees

# Square root of the covariance of ImageNet's colours, as lucid gives it; scaled to a largest column of 1.
COLOURS = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))


def synthesize(pipeline: Pipeline, layer: str, channel: int, rng: np.random.Generator, steps: int) -> Tensor:
    """The image (1, 3, size, size) in [0, 1] of one unit after the last step, without transforms.

    Args:
        pipeline: holds the network; its prior is not used.
        layer: name of the layer.
        channel: the unit, read after the ReLU at the centre of the map.
        rng: draws the start and the transforms.
        steps: of Adam.
    """
    subject = pipeline.subject
    spectrum = start(subject.size, rng).to(subject.device).requires_grad_(True)
    optimizer = torch.optim.Adam([spectrum], lr=LR)
    for _ in range(steps):
        optimizer.zero_grad()
        shown = transformed(image(spectrum, subject.size), rng)
        maps = dict(subject.network.pre_activations(resnet.normalise(shown)))
        pipeline.gradient[layer] += 1
        loss = -at_centre(functional.relu(maps[layer]))[0, channel]
        loss.backward()
        optimizer.step()
    return image(spectrum.detach(), subject.size)


def start(size: int, rng: np.random.Generator) -> Tensor:
    """Real and imaginary parts of a small random spectrum, (1, 3, size, size // 2 + 1, 2)."""
    shape = (1, 3, size, size // 2 + 1, 2)
    return torch.from_numpy(DEVIATION * rng.standard_normal(shape, dtype=np.float32))


def image(spectrum: Tensor, size: int) -> Tensor:
    """The image (1, 3, size, size) in [0, 1] of a spectrum."""
    vertical = np.fft.fftfreq(size)[:, None]
    frequency = np.hypot(vertical, np.fft.rfftfreq(size))
    scale = spectrum.new_tensor(1 / np.maximum(frequency, 1 / size))
    planes = (
        torch.fft.irfft2(torch.view_as_complex(spectrum) * scale, s=(size, size), norm="ortho") / CONTRAST
    )
    colours = spectrum.new_tensor(COLOURS)
    colours = colours / colours.norm(dim=0).max()
    return torch.sigmoid(torch.einsum("rc,bchw->brhw", colours, planes))


def transformed(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Padded, jittered, scaled, rotated and jittered by random amounts, at the size they came with."""
    size = images.shape[-1]
    padded = functional.pad(images, [PADDING] * 4, value=GREY)
    moved = _shifted(padded, JITTERS[0], rng)
    scale = float(rng.choice(SCALES))
    larger = int(np.ceil(scale * moved.shape[-1]))
    scaled = functional.interpolate(moved, (larger, larger), mode="bilinear", align_corners=True)
    missing = max(0, int(np.ceil((moved.shape[-1] - larger) / 2)))
    scaled = functional.pad(scaled, [missing] * 4)
    turned = _rotated(scaled, float(rng.choice(ANGLES)))
    moved = _shifted(turned, JITTERS[1], rng)
    return functional.interpolate(moved, (size, size), mode="bilinear", align_corners=True)


def _shifted(images: Tensor, most: int, rng: np.random.Generator) -> Tensor:
    """Moved right and down by 0 to most - 1 px; black comes in."""
    right, down = (int(offset) for offset in rng.integers(0, most, 2))
    height, width = images.shape[-2:]
    return functional.pad(images, [right, 0, down, 0])[..., :height, :width]


def _rotated(images: Tensor, degrees: float) -> Tensor:
    """Turned around the centre; black comes in."""
    angle = np.deg2rad(degrees)
    matrix = images.new_tensor([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0]])
    grid = functional.affine_grid(matrix[None], list(images.shape), align_corners=True)
    return functional.grid_sample(images, grid, align_corners=True)
