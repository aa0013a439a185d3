"""Natural images in a session: what units respond to, and whether prototypes are treated alike."""

import numpy as np
import pytest

import protoviz
from protoviz.errors import StudyError
from tests.notebook.conftest import SIZE, network


@pytest.fixture(scope="module")
def images():
    """Coloured fields that units tell apart."""
    made = np.random.default_rng(1).normal(size=(40, 1, 1, 3)) + np.linspace(-1, 1, SIZE)[:, None, None]
    noise = np.random.default_rng(2).normal(size=(40, SIZE, SIZE, 3))
    return np.clip(128 + 50 * made + 10 * noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def found(made, images):
    parts = [
        protoviz.natural(network(), cube, images, pattern, top=3, compared=4)
        for cube, pattern in zip(made.cubes, made.patterns, strict=True)
    ]
    return protoviz.join(*parts)


def test_faithfulness_goes_into_measures_and_the_atlas(made, found, images, tmp_path):
    assert found.sizes["condition"] == 2
    assert found.inner_layer.values.tolist() == ["stem", "block.1", "block"]
    assert found.faithfulness.notnull().any()
    measures = protoviz.measures(made.cube, made.distances, made.field, found)
    at = {"condition": "red", "run": 1, "repeat": 1, "epoch": 3}
    units = found.faithfulness.sel(at).values[found.unit_layer.values == "block"]
    wanted = np.nanmean(units) if np.isfinite(units).any() else np.nan
    assert measures.faithfulness.sel({**at, "layer": "block"}).item() == pytest.approx(wanted, nan_ok=True)
    page = protoviz.atlas(
        made.cube, tmp_path / "atlas", distances=made.distances, natural=found, images=images
    )
    assert page.is_file()
    protoviz.save(found, tmp_path / "natural.zarr")


def test_it_need_not_be_asked(made, images):
    alone = protoviz.natural(network(), made.cubes[0], images, made.patterns[0], compared=0)
    assert "faithfulness" not in alone
    assert alone.sizes["rank"] == 9


def test_no_images_and_images_of_another_size_are_refused(made, images):
    for wrong in (images[:0], images[:, :5], images / 255):
        with pytest.raises(StudyError, match=r"expected uint8 \(N, 12, 12, 3\)"):
            protoviz.natural(network(), made.cubes[0], wrong, made.patterns[0])
