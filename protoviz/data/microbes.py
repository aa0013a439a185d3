"""Five procedural classes of micrographs: microbes that differ in shape and arrangement, in shades of grey.

This domain is as far from the ten classes of `procedural` as a microscope is from a camera: no colour,
many small bodies on an empty field, each dark with the bright halo of phase contrast. Number, place, turn,
size, focus, light and grain are nuisance factors; the class is the shape.

    cocci     single spheres        bacilli   straight rods        yeast     ovals with a bud
    chains    spheres in a row      spirilla  wavy rods

Any image can be made alone: its random numbers come from (seed, split, index).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from protoviz import seeding
from protoviz.data.base import ArrayPictures, Indices, Pixels, Source

SIZE = 96  # px
MOST_TRIES = 40  # to find a free place for a body
BEND = 12  # joints of a wavy rod

Plane = NDArray[np.float32]
Body = NDArray[np.float64]  # (K, 5): x, y of both ends of each capsule, and its radius, px
Rng = np.random.Generator


def read(seed: int, train: int, test: int) -> Source:
    """A data set of its own: `train` images, which are the pool as well, and `test` images."""
    fitted, fitted_labels = render("train", seed, train)
    judged, judged_labels = render("test", seed, test)
    pictures = ArrayPictures(fitted)
    return Source(
        list(CLASSES), pictures, pictures, fitted_labels, ArrayPictures(judged), judged_labels, True
    )


def render(split: str, seed: int, count: int) -> tuple[Pixels, Indices]:
    """Images of a split, uint8 (count, 96, 96, 3), and their labels; that of image i is i modulo five."""
    labels = np.arange(count, dtype=np.int64) % len(CLASSES)
    images = [image(int(k), seeding.generator("microbes", seed, split, i)) for i, k in enumerate(labels)]
    return np.array(images, np.uint8).reshape(count, SIZE, SIZE, 3), labels


def image(label: int, rng: Rng) -> Pixels:
    """One micrograph of a class, uint8 (96, 96, 3), the three colours alike."""
    grow, wanted = _BODIES[CLASSES[label]]
    size = rng.uniform(0.85, 1.25)
    field: Plane = np.full((SIZE, SIZE), np.inf, np.float32)
    for body in _placed(grow, round(wanted * rng.uniform(0.7, 1.3)), size, rng):
        field = np.minimum(field, _distance(body))
    focus = rng.uniform(0.6, 1.4)  # px over which the edge of a body is spread
    inside = 1 / (1 + np.exp(np.clip(field / focus, -30, 30)))
    halo = np.exp(-(((field - 2.5) / 2) ** 2)) * (field > 0)
    light = rng.uniform(0.5, 0.65) + rng.uniform(-0.08, 0.08) * _GRID_X + rng.uniform(-0.08, 0.08) * _GRID_Y
    grey = light - rng.uniform(0.22, 0.35) * inside + rng.uniform(0.08, 0.2) * halo
    grey = grey + rng.uniform(0.01, 0.03) * rng.standard_normal((SIZE, SIZE))
    return np.repeat(np.clip(np.rint(255 * grey), 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def _placed(grow: Callable[[float, Rng], Body], wanted: int, size: float, rng: Rng) -> list[Body]:
    """Bodies at random places and turns; one that would lie on another is tried elsewhere, then left out."""
    bodies: list[Body] = []
    for _ in range(wanted):
        for _ in range(MOST_TRIES):
            angle, place = rng.uniform(0, 2 * np.pi), rng.uniform(0, SIZE, 2)
            body = _moved(grow(size, rng), angle, place)
            if all(_are_apart(body, other) for other in bodies):
                bodies.append(body)
                break
    return bodies


def _moved(body: Body, angle: float, place: NDArray[np.float64]) -> Body:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    ends = body[:, :4].reshape(-1, 2) @ turn.T + place
    return np.column_stack([ends.reshape(-1, 4), body[:, 4]])


def _are_apart(one: Body, other: Body) -> bool:
    """Whether their joints stay a little away from each other."""
    a, b = one[:, :4].reshape(-1, 2), other[:, :4].reshape(-1, 2)
    between = np.linalg.norm(a[:, None] - b, axis=2).min()
    return bool(between > one[:, 4].max() + other[:, 4].max() + 3)


def _distance(body: Body) -> Plane:
    """Distance of every pixel to the surface of a body of capsules, px; negative inside."""
    start, along = body[:, :2, None, None], (body[:, 2:4] - body[:, :2])[:, :, None, None]
    dx, dy = _PIXELS[None, 0] - start[:, 0], _PIXELS[None, 1] - start[:, 1]
    length = np.maximum((along**2).sum(1), 1e-9)
    share = np.clip((dx * along[:, 0] + dy * along[:, 1]) / length, 0, 1)
    away = np.hypot(dx - share * along[:, 0], dy - share * along[:, 1])
    return np.asarray((away - body[:, 4, None, None]).min(0), np.float32)


def _coccus(size: float, rng: Rng) -> Body:
    return np.array([[0, 0, 0, 0, size * rng.uniform(3.6, 4.4)]])


def _chain(size: float, rng: Rng) -> Body:
    radius, count = size * rng.uniform(2.9, 3.4), rng.integers(4, 8)
    turns = np.cumsum(rng.uniform(-0.5, 0.5, count))
    x, y = np.cumsum(2.1 * radius * np.cos(turns)), np.cumsum(2.1 * radius * np.sin(turns))
    return np.column_stack([x, y, x, y, np.full(count, radius)])


def _bacillus(size: float, rng: Rng) -> Body:
    half = size * rng.uniform(8, 12)
    return np.array([[-half, 0, half, 0, size * rng.uniform(2.2, 2.8)]])


def _spirillum(size: float, rng: Rng) -> Body:
    half, waves = size * rng.uniform(14, 19), rng.uniform(1.6, 2.4)
    x = np.linspace(-half, half, BEND + 1)
    y = size * rng.uniform(4, 5.5) * np.sin(np.pi * waves * x / half + rng.uniform(0, 2 * np.pi))
    radius = np.full(BEND, size * rng.uniform(1.3, 1.7))
    return np.column_stack([x[:-1], y[:-1], x[1:], y[1:], radius])


def _yeast(size: float, rng: Rng) -> Body:
    radius = size * rng.uniform(6.5, 8)
    bud, stretch = radius * rng.uniform(0.45, 0.65), 0.35 * radius
    at = radius + stretch + 0.7 * bud
    return np.array([[-stretch, 0, stretch, 0, radius], [at, 0, at, 0, bud]])


_BODIES: dict[str, tuple[Callable[[float, Rng], Body], int]] = {  # shape, and how many in a field
    "cocci": (_coccus, 14),
    "chains": (_chain, 5),
    "bacilli": (_bacillus, 9),
    "spirilla": (_spirillum, 6),
    "yeast": (_yeast, 5),
}
CLASSES: tuple[str, ...] = tuple(_BODIES)

_AXIS = np.linspace(-1, 1, SIZE, dtype=np.float32)
_GRID_X, _GRID_Y = np.meshgrid(_AXIS, _AXIS)
_PIXELS = np.stack(np.meshgrid(np.arange(SIZE, dtype=np.float64), np.arange(SIZE, dtype=np.float64)))
