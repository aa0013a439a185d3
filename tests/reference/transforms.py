"""Jitter, scale and rotation pixel by pixel: slow and literal."""

import numpy as np


def apply(image, dx, dy, scale, angle):
    """One image (3, H, W): scaled and turned about its centre, then shifted.

    What lands on pixel p of the result comes from the point q of the image with
    p = centre + shift + scale * turn(q - centre), read off by bilinear interpolation.
    """
    _, height, width = image.shape
    # Rows count downwards: counter-clockwise to the eye takes (x, y) = (1, 0) to (cos, -sin).
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    result = np.zeros_like(image)
    for row in range(height):
        for column in range(width):
            p = np.array([column, row])
            x, y = centre + np.linalg.solve(scale * turn, p - centre - (dx, dy))
            result[:, row, column] = bilinear(image, mirrored(x, width), mirrored(y, height))
    return result


def mirrored(place, extent):
    """Where a place beyond the edges, which lie half a pixel outside the last centres, is reflected to."""
    while not -0.5 <= place <= extent - 0.5:
        place = -1 - place if place < -0.5 else 2 * extent - 1 - place
    return min(max(place, 0), extent - 1)


def bilinear(image, x, y):
    left, top = int(np.floor(x)), int(np.floor(y))
    value = np.zeros(len(image))
    for column in (left, left + 1):
        for row in (top, top + 1):
            weight = (1 - abs(x - column)) * (1 - abs(y - row))
            if weight > 0:
                value += weight * image[:, row, column]
    return value


def crop(image, share, x, y):
    """The part of one image (C, H, W) around (x, y) px from its centre, `share` of its sides, made as large.

    Pixel p of the result shows the point of the crop that lies as far along it as p along the image.
    """
    _, height, width = image.shape
    left, top = (width - share * width) / 2 + x, (height - share * height) / 2 + y
    result = np.zeros_like(image)
    for row in range(height):
        for column in range(width):
            at_x = left + (column + 0.5) / width * share * width - 0.5
            at_y = top + (row + 0.5) / height * share * height - 0.5
            result[:, row, column] = bilinear(image, mirrored(at_x, width), mirrored(at_y, height))
    return result


def bits(number):
    """`lowbias32`, in whole numbers of any size."""
    number = (number ^ number >> 16) * 0x7FEB352D % 2**32
    number = (number ^ number >> 15) * 0x846CA68B % 2**32
    return number ^ number >> 16
