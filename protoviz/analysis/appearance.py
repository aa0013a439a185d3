"""What prototypes look like in numbers: saturation, hue, warmth, and the spectrum of their texture (F10).

Each pixel is weighted by the mask. Colours are those of the stored sRGB values, as a screen shows them. With
R, G, B in [0, 1], w the mask, and the two opponent axes

    a = R - (G + B) / 2,    b = sqrt(3) / 2 (G - B),

the hue is the angle of (a, b): red 0, yellow 1/3 pi, green 2/3 pi, blue -2/3 pi; its length is the chroma.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from protoviz.analysis import masks as masking
from protoviz.store import schema, schema_appearance
from protoviz.store.schema_appearance import APPEARANCE, BAND, appearance_name

Floats = NDArray[np.floating]
Mask = NDArray[np.floating]
Masks = Sequence[Mask]  # each (H, W), or (N, H, W) with one for every image

ORANGE = np.pi / 6  # the hue that is called warm
LUMA = (0.2126, 0.7152, 0.0722)  # brightness of sRGB's primaries
GREY = 1e-6  # differences of R, G, B, or of brightness, below which an image has no colour, no texture
HIGH = 1 / 8  # cycles per pixel: from here on a texture is fine, with waves shorter than 8 px


def _within(values: Floats, masks: Masks) -> Floats:
    """Sums over the image, weighted by each mask: (N, H, W) -> (N, M)."""
    flat = values.reshape(len(values), values.shape[1] * values.shape[2])
    sums = [
        np.einsum("np,np->n", flat, mask.reshape(flat.shape)) if mask.ndim == 3 else flat @ mask.ravel()
        for mask in masks
    ]
    return np.stack(sums, -1)


def _weight(masks: Masks, power: int = 1) -> Floats:
    """Sums of the masks themselves, (M,) or, where images have masks of their own, (N, M)."""
    sums = [(mask**power).sum((-2, -1)) for mask in masks]
    return np.stack(np.broadcast_arrays(*sums), -1)


def saturation(images: Floats, masks: Masks) -> Floats:
    """Colourfulness in [0, 1]: the greatest of R, G, B less the least, over the greatest.

    Numerator and denominator are summed over the image first, so dark pixels, whose saturation is noise,
    hardly count.

    Args:
        images: (N, H, W, 3) in [0, 1].
        masks: M of them, see `Masks`.

    Returns:
        (N, M); 0 for black images.
    """
    greatest, least = _within(images.max(-1), masks), _within(images.min(-1), masks)
    return np.divide(greatest - least, greatest, out=np.zeros_like(greatest), where=greatest > 0)


def hue_and_warmth(images: Floats, masks: Masks) -> tuple[Floats, Floats]:
    """The mean hue, and how warm the colours are; every pixel is weighted by its chroma.

    Args:
        images: (N, H, W, 3) in [0, 1].
        masks: M of them, see `Masks`.

    Returns:
        The circular mean of the hue, (N, M) rad in (-pi, pi]; and the mean of (1 + cos(hue - orange)) / 2,
        (N, M), 1 where all is orange, 0 where all is azure. Both are NaN for images without colour.
    """
    a = images[..., 0] - (images[..., 1] + images[..., 2]) / 2
    b = np.sqrt(0.75).astype(images.dtype) * (images[..., 1] - images[..., 2])
    chroma, along, across = (_within(values, masks) for values in (np.hypot(a, b), a, b))
    coloured = chroma > GREY * _weight(masks)
    to_orange = along * np.cos(ORANGE) + across * np.sin(ORANGE)
    warmth = np.divide(to_orange, chroma, out=np.full_like(chroma, np.nan), where=coloured)
    return np.where(coloured, np.arctan2(across, along), np.nan), (1 + warmth) / 2


def band_edges(size: int) -> Floats:
    """Lower edges of the octave bands of an image, cycles per pixel, ascending: 0, ..., 1/16, 1/8, 1/4.

    The lowest band begins at 0 and ends where less than two waves fit into the image.

    Args:
        size: length of the shorter side, px.
    """
    octaves = max(1, int(np.log2(size / 4)))
    return np.concatenate([[0.0], 0.5 ** np.arange(octaves + 1, 1, -1)])


def spectrum(images: Floats, masks: Masks) -> Floats:
    """Shares of the brightness's variance, within the mask, in octave bands of spatial frequency.

    The mean within the mask is subtracted; the rest is multiplied by the mask, which thus serves as the
    window.

    Args:
        images: (N, H, W, C) in [0, 1]; for channels other than RGB, brightness is their mean.
        masks: M of them, see `Masks`.

    Returns:
        (N, M, bands), rows sum to 1; NaN for uniform images. Frequencies beyond 1/2, which occur along
        the diagonals, belong to the highest band.
    """
    luma = images @ np.array(LUMA, images.dtype) if images.shape[-1] == len(LUMA) else images.mean(-1)
    height, width = luma.shape[-2:]
    mean = _within(luma, masks) / _weight(masks)
    bands = _bands(height, width)
    sums = np.empty((*mean.shape, bands.shape[1]), images.dtype)
    for m, mask in enumerate(masks):
        waves = np.fft.rfft2((luma - mean[:, m, None, None]) * mask)
        sums[:, m] = (waves.real**2 + waves.imag**2).reshape(len(waves), len(bands)) @ bands
    total = sums.sum(-1, keepdims=True)
    structured = total > GREY**2 * (height * width) * _weight(masks, 2)[..., None]
    return np.divide(sums, total, out=np.full_like(sums, np.nan), where=structured)


def _bands(height: int, width: int) -> Floats:
    """The weight of each coefficient of `rfft2`, flattened, in each band: (H (W // 2 + 1), bands)."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    edges = band_edges(min(height, width))
    band = np.searchsorted(edges, frequency.ravel(), side="right") - 1
    column = np.arange(width // 2 + 1)
    twice = np.where((column == 0) | (2 * column == width), 1, 2)  # the other half mirrors these columns
    counted = np.broadcast_to(twice, frequency.shape).reshape(-1, 1) * (
        band[:, None] == np.arange(len(edges))
    )
    return counted.astype(np.float32)


def appearance(prototypes: xr.Dataset, fields: xr.Dataset) -> xr.Dataset:
    """The appearance of all prototypes of one network, in the schema of its store.

    Saturation, hue and warmth are defined for RGB images only; for others they are missing (NaN).

    Args:
        prototypes: the cube with condition and run of extent one.
        fields: the receptive fields of the same network.
    """
    masks = masking.Masks(prototypes, fields)
    network = prototypes.isel(condition=0, run=0)
    edges = band_edges(min(prototypes.sizes[schema.Y], prototypes.sizes[schema.X]))
    sizes = [network.sizes[name] for name in (schema.REPEAT, schema.EPOCH, schema.UNIT)]
    arrays = {
        variable.name: np.full((*sizes, *([len(edges)] * (BAND in variable.dims))), np.nan, np.float32)
        for variable in APPEARANCE.variables
    }
    slices = schema.layer_slices(prototypes[schema.LAYER].values)
    for epoch in range(sizes[1]):
        stored = network[[schema.IMAGE, schema.STATUS]].isel(epoch=epoch).load()
        for layer, at in slices.items():
            part = stored.isel(unit=at).transpose(schema.REPEAT, schema.UNIT, ...)
            alive = part[schema.STATUS].values == schema.Status.CONVERGED
            images = part[schema.IMAGE].values[alive].astype(np.float32) / np.float32(255)
            here = [_weights(masks(name, epoch, layer), images, alive) for name in schema.MASKINGS]
            for measure, values in _seen(images, here).items():
                for m, name in enumerate(schema.MASKINGS):
                    arrays[appearance_name(measure, name)][:, epoch, at][alive] = values[:, m]
    coordinates = {
        axis.name: prototypes[axis.name].variable for axis in APPEARANCE.coordinates if axis.name != BAND
    }
    return xr.Dataset(
        {name: (APPEARANCE[name].dims, array[None, None]) for name, array in arrays.items()},
        {**coordinates, BAND: edges},
    )


def _weights(mask: Mask | None, images: Floats, alive: NDArray[np.bool_]) -> Mask:
    """A mask as weights: 1 where there is none, never below zero; those of live units if each has its own."""
    if mask is None:
        return np.ones(images.shape[1:3], np.float32)
    if mask.ndim == 3:
        mask = mask[np.nonzero(alive)[1]]
    return np.maximum(mask, 0)


def _seen(images: Floats, masks: Masks) -> dict[str, Floats]:
    bands = spectrum(images, masks)
    high = bands[..., band_edges(min(images.shape[1:3])) >= HIGH].sum(-1)
    seen = {schema_appearance.SPECTRUM: bands, schema_appearance.HIGH_FREQUENCY: high}
    if images.shape[-1] == len(LUMA):
        hue, warmth = hue_and_warmth(images, masks)
        colours = saturation(images, masks), hue, warmth
        names = schema_appearance.SATURATION, schema_appearance.HUE, schema_appearance.WARMTH
        seen |= dict(zip(names, colours, strict=True))
    return seen
