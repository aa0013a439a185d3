"""Sheets of many small images: where each stands."""

import numpy as np
import pytest

from protoviz.cli.contact_sheet import CAPTION, COLUMNS, GAP, TILE, contact_sheet


def place_of(sheet: np.ndarray, shade: int) -> tuple[int, int]:
    """Row and column of the only tile of this grey level."""
    at = np.argwhere((sheet == shade).all(axis=-1)).min(axis=0)
    row, column = (int(at[0]) - GAP) / (TILE + CAPTION + GAP), (int(at[1]) - GAP) / (TILE + GAP)
    assert (row, column) == (int(row), int(column))
    return int(row), int(column)


def tiles(count: int) -> np.ndarray:
    """Images of one grey level each, 10, 11, ..."""
    shades = np.arange(10, 10 + count, dtype=np.uint8)
    return np.broadcast_to(shades[:, None, None, None], (count, TILE, TILE, 3))


@pytest.mark.parametrize(
    ("groups", "places"),
    [
        (None, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]),
        ([5], [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]),
        ([2, 3], [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]),
        ([1, 1, 3], [(0, 0), (1, 0), (2, 0), (2, 1), (2, 2)]),
    ],
)
def test_a_group_begins_a_row(groups: list[int] | None, places: list[tuple[int, int]]) -> None:
    sheet = np.asarray(contact_sheet(tiles(5), [""] * 5, groups))
    assert [place_of(sheet, 10 + k) for k in range(5)] == places


def test_what_is_not_opaque_fades_to_grey() -> None:
    images, opacities = tiles(2), np.zeros((2, TILE, TILE), np.uint8)
    opacities[0], opacities[1] = 255, 51
    sheet = np.asarray(contact_sheet(images, ["", ""], None, opacities))
    assert (sheet[GAP : GAP + TILE, GAP : GAP + TILE] == 10).all()
    second = sheet[GAP : GAP + TILE, 2 * GAP + TILE : 2 * GAP + 2 * TILE]
    assert (second == round(128 + (11 - 128) / 5)).all()


def test_a_large_group_takes_several_rows() -> None:
    sheet = np.asarray(contact_sheet(tiles(COLUMNS + 3), [""] * (COLUMNS + 3), [COLUMNS + 2, 1]))
    assert place_of(sheet, 10 + COLUMNS) == (1, 0)
    assert place_of(sheet, 10 + COLUMNS + 2) == (2, 0)
