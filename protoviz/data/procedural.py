"""Ten procedural classes in which form tells the class and colour tells the image.

A class is a family of textures inside a silhouette. Everything else is nuisance: place, size, turn,
warp, grain, which of two colours is which, and the palette, which is drawn anew for each image. So colour
says nothing about the class but identifies two crops of one image at once: the situation in which colour
augmentation decides what a contrastively trained network learns (Chen et al. 2020, section 3.2 and figure 5).
The set was designed, and tuned, to show that effect within minutes.

Any image can be made alone: its random numbers come from (seed, split, index).
"""

import colorsys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from protoviz import seeding

Plane = npt.NDArray[np.float32]
Rng = np.random.Generator

SIZE = 96  # px, STL-10's


def render(
    split: str, seed: int, count: int, start: int = 0
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Images `start` to `start + count` of a split; the label of image i is i modulo ten.

    Args:
        split: "unlabeled", "train" or "test"; names the stream of random numbers.
        seed: of the whole set.
        count: number of images.
        start: index of the first.

    Returns:
        images: uint8 (count, 96, 96, 3).
        labels: int64 (count,), 0 to 9, an index into `CLASSES`.
    """
    labels = np.arange(start, start + count, dtype=np.int64) % len(CLASSES)
    images = np.empty((count, SIZE, SIZE, 3), np.uint8)
    for row, label in enumerate(labels):
        images[row] = image(int(label), seeding.generator("procedural", seed, split, start + row))
    return images, labels


def image(label: int, rng: Rng) -> npt.NDArray[np.uint8]:
    """One image of a class: a textured silhouette on a 1/f background, uint8 (96, 96, 3).

    >>> image(3, np.random.default_rng(0)).shape
    (96, 96, 3)
    """
    texture, silhouette = _FORMS[CLASSES[label]]
    x, y = _warped_coordinates(rng)
    centre = rng.uniform(-0.12, 0.12, 2)
    x, y = _rotate(x - np.float32(centre[0]), y - np.float32(centre[1]), rng.uniform(0, 2 * np.pi))
    radius = np.hypot(x, y)
    angle = np.arctan2(y, x)
    size = rng.uniform(0.75, 1.1)
    inside = _soft_step((size * silhouette(angle) - radius) / 0.03)
    frequency = np.float32(2 * np.pi * rng.uniform(2.2, 3.6))
    pattern = np.tanh(2 * texture(_Canvas(x, y, frequency, rng)))
    if rng.random() < 0.2:  # polarity is a hint, not a rule
        pattern = -pattern
    dark, light, ground = _palette(rng)
    share = (0.5 + 0.5 * pattern)[..., None]
    figure = dark + (light - dark) * share
    grain = pink_noise(rng)[..., None]
    canvas = ground * (1 + 0.15 * grain)
    canvas += inside[..., None] * (figure * (1 + 0.08 * grain) - canvas)
    return np.clip(np.rint(255 * canvas), 0, 255).astype(np.uint8)


def pink_noise(rng: Rng) -> Plane:
    """Noise with amplitude 1/f, as natural images have, float32 (96, 96), zero mean, unit variance."""
    spectrum = rng.standard_normal((2, SIZE, SIZE // 2 + 1), dtype=np.float32)
    noise = np.fft.irfft2((spectrum[0] + 1j * spectrum[1]) * _ONE_OVER_F, s=(SIZE, SIZE)).astype(np.float32)
    return np.asarray(noise / noise.std(), np.float32)


def _warped_coordinates(rng: Rng) -> tuple[Plane, Plane]:
    """Pixel coordinates in [-1, 1], bent by one slow random wave along each axis."""
    phase = rng.uniform(0, 2 * np.pi, 2).astype(np.float32)
    depth = rng.uniform(0, 0.08, 2).astype(np.float32)
    x = _GRID_X + depth[0] * np.sin(3 * _GRID_Y + phase[0])
    y = _GRID_Y + depth[1] * np.sin(3 * _GRID_X + phase[1])
    return x, y


def _rotate(x: Plane, y: Plane, angle: float | np.float32) -> tuple[Plane, Plane]:
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return cosine * x - sine * y, sine * x + cosine * y


def _palette(rng: Rng) -> tuple[Plane, Plane, Plane]:
    """Dark, light and background colour, float32 (3,) each; hue and saturation are free."""

    def colour(lightness: float) -> Plane:
        return np.array(colorsys.hls_to_rgb(rng.random(), lightness, rng.uniform(0, 0.3)), np.float32)

    ground = rng.uniform(0.25, 0.6)
    return colour(rng.uniform(0.08, 0.3)), colour(rng.uniform(0.65, 0.9)), colour(ground)


def _soft_step(plane: Plane) -> Plane:
    return np.clip(plane + 0.5, 0, 1)


@dataclass(frozen=True)
class _Canvas:
    """Where a texture is painted: coordinates about the silhouette's centre, and its angular frequency."""

    x: Plane
    y: Plane
    w: np.float32
    rng: Rng

    def phase(self) -> np.float32:
        return np.float32(self.rng.uniform(0, 2 * np.pi))


# Textures: a plane whose sign is the two-tone pattern.
def _stripes(c: _Canvas) -> Plane:
    return 2 * np.sin(c.w * c.x + c.phase())


def _checks(c: _Canvas) -> Plane:
    return 3 * np.sin(c.w * c.x) * np.sin(c.w * c.y)


def _rings(c: _Canvas) -> Plane:
    return 2 * np.sin(c.w * np.hypot(c.x, c.y) + c.phase())


def _dots(c: _Canvas) -> Plane:
    return 3 * (np.cos(c.w * c.x) + np.cos(c.w * c.y) - np.float32(0.9))


def _waves(c: _Canvas) -> Plane:
    return 2 * np.sin(c.w * c.x + np.float32(2.2) * np.sin(np.float32(0.6) * c.w * c.y + c.phase()))


def _blobs(c: _Canvas) -> Plane:
    sum_of_waves = np.zeros_like(c.x)
    for _ in range(6):
        u, _ = _rotate(c.x, c.y, c.phase())
        sum_of_waves += np.sin(np.float32(0.75) * c.w * u + c.phase())
    return sum_of_waves


def _spokes(c: _Canvas) -> Plane:
    return 2 * np.sin(np.float32(c.rng.integers(7, 12)) * np.arctan2(c.y, c.x))


def _hatch(c: _Canvas) -> Plane:
    return 4 * (np.maximum(np.cos(c.w * c.x), np.cos(c.w * c.y)) - np.float32(0.75))


def _honeycomb(c: _Canvas) -> Plane:
    u, v = c.w * c.x * np.float32(0.5), c.w * c.y * np.float32(np.sqrt(3) / 2)
    lattice = np.cos(2 * u) + np.cos(u + v) + np.cos(u - v)
    return 2 * (lattice + np.float32(0.65))  # below -0.65 lie the walls between the cells


def _zigzag(c: _Canvas) -> Plane:
    teeth = np.arcsin(np.sin(np.float32(0.9) * c.w * c.y)) / (np.float32(0.9) * c.w)
    return 2 * np.sin(c.w * (c.x + np.float32(1.5) * teeth))


def _polygon(sides: int) -> Callable[[Plane], Plane]:
    """Radius of a regular polygon of circumradius one, at each angle."""
    half = np.pi / sides
    return lambda angle: np.asarray(np.cos(half) / np.cos(np.mod(angle, 2 * half) - half), np.float32)


def _lobes(count: int, depth: float) -> Callable[[Plane], Plane]:
    return lambda angle: np.asarray(1 - depth + depth * np.cos(count * angle), np.float32)


def _ellipse(ratio: float) -> Callable[[Plane], Plane]:
    return lambda angle: np.asarray(ratio / np.hypot(ratio * np.cos(angle), np.sin(angle)), np.float32)


_FORMS: dict[str, tuple[Callable[[_Canvas], Plane], Callable[[Plane], Plane]]] = {
    "stripes": (_stripes, _ellipse(0.55)),
    "checks": (_checks, _polygon(4)),
    "rings": (_rings, _lobes(1, 0.0)),
    "dots": (_dots, _polygon(3)),
    "waves": (_waves, _ellipse(0.8)),
    "blobs": (_blobs, _lobes(3, 0.22)),
    "spokes": (_spokes, _lobes(8, 0.1)),
    "hatch": (_hatch, _lobes(4, 0.2)),
    "honeycomb": (_honeycomb, _polygon(6)),
    "zigzag": (_zigzag, _lobes(5, 0.18)),
}
CLASSES: tuple[str, ...] = tuple(_FORMS)

_AXIS = np.linspace(-1, 1, SIZE, dtype=np.float32)
_GRID_X, _GRID_Y = (np.ascontiguousarray(plane) for plane in np.meshgrid(_AXIS, _AXIS))
_FREQUENCY = np.hypot(np.fft.fftfreq(SIZE)[:, None], np.fft.rfftfreq(SIZE)[None]).astype(np.float32)
_ONE_OVER_F = np.divide(1, _FREQUENCY, out=np.zeros_like(_FREQUENCY), where=_FREQUENCY > 0)
