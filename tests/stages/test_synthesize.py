"""Prior and prototypes as stages, with priors that the pipeline does not train."""

from pathlib import Path

import numpy as np
import pytest

from protoviz import files, layout
from protoviz.config import params, synthesis
from protoviz.errors import StudyError
from protoviz.models import checkpoints, resnet
from protoviz.models.priors import spectrum
from protoviz.store import attributes, cube
from stages import generator, reference, synthesize

FEW = {"repeats": 1, "start": {"pool": 8, "top": 2}, "ascent": {"steps": 2}, "precision": "float32"}


@pytest.fixture
def study(tmp_path, monkeypatch):
    read = params.load(Path(__file__).parents[2] / "params.yaml")
    monkeypatch.chdir(tmp_path)
    network = resnet.initial("resnet18", 4, 1)
    identity = checkpoints.Checkpoint("clrjit", 1, 0, "resnet18", 4, initial_weights="")
    checkpoints.save(checkpoints.path(layout.checkpoints("clrjit", 1), 0), network, identity)
    return read.model_copy(
        update={
            "images": read.images.model_copy(update={"size": 32}),
            "train": read.train.model_copy(update={"keep": [0]}),
            "prior": params.Prior(name="fourier", weights=None, sha256=None),
            "synthesis": synthesis.changed("natural", FEW),
        }
    )


def test_a_prior_from_elsewhere_is_named_and_nothing_is_trained(study):
    generator.main(study)
    assert files.read_json(layout.PRIOR) == {"name": "fourier", "sha256": None}
    assert not layout.GENERATOR.exists()
    assert layout.GENERATOR_CURVE.read_text() == "step,pixel_loss,feature_loss\n"


def test_a_study_without_a_reference_encoder_trains_none(study):
    reference.main(study)
    assert files.read_json(layout.REFERENCE_DIGEST) == {"sha256": None}
    assert not layout.REFERENCE_ENCODER.exists()


def test_latents_that_are_not_kept_are_not_in_the_store(study):
    stores = {}
    for keep in (True, False):
        recipe = study.synthesis.model_copy(update={"keep_latents": keep})
        synthesize.main(study.model_copy(update={"synthesis": recipe}), "clrjit", 1)
        cube.validate(layout.prototypes("clrjit", 1))
        with cube.open_cube(layout.prototypes("clrjit", 1)) as made:
            stores[keep] = made.load()
    assert set(stores[True].data_vars) - set(stores[False].data_vars) == {"latent"}
    assert (stores[True].image == stores[False].image).all(), "nothing else changes"


def test_prototypes_by_the_prior_that_is_named(study):
    generator.main(study)
    synthesize.main(study, "clrjit", 1)
    store = layout.prototypes("clrjit", 1)
    cube.validate(store)
    with cube.open_cube(store) as made:
        assert attributes.read(made)["prior"] == {"name": "fourier", "sha256": None}
        assert made.attrs["precision"] == "float32"
        assert made.latent.shape[-1] == 3 * 32 * 32
        assert made.activation.shape[-1] == 4 + 8 + 16 + 32


def test_weights_that_are_not_there_are_refused(study):
    named = params.Prior(name="deepsim", weights="fc6.pt", sha256=None)
    with pytest.raises(StudyError, match=r"fc6\.pt: expected a weight file, found nothing"):
        generator.main(study.model_copy(update={"prior": named}))
    assert not layout.PRIOR.exists()


def test_the_spectrum_of_the_studys_own_images(study):
    """Planted: pictures of one wave, three down and none across, of many phases."""
    rows = np.arange(32)[:, None, None]
    phases = np.random.default_rng(0).uniform(0, 2 * np.pi, (24, 1, 1, 1))
    waves = np.broadcast_to(128 + 60 * np.sin(2 * np.pi * 3 * rows / 32 + phases), (24, 32, 32, 3))
    noise = np.random.default_rng(1).integers(-8, 9, (24, 32, 32, 3))
    layout.IMAGES.mkdir(parents=True)
    recipe = synthesis.changed("maco", {"repeats": 1, "ascent": {"steps": 2}, "precision": "float32"})
    named = params.Prior(name="maco", weights=params.OWN, sha256=None)
    study = study.model_copy(update={"prior": named, "synthesis": recipe})
    np.save(layout.IMAGES / "unlabeled.npy", (waves + noise).astype(np.uint8))
    generator.main(study)
    said = files.read_json(layout.PRIOR)
    assert said == {"name": "maco", "sha256": files.sha256(layout.SPECTRUM)}
    found = spectrum.load(layout.SPECTRUM).at(32, 1)[0]
    assert found.argmax() == 3 * 17, "but for the mean, that wave is the strongest"
    recipe = recipe.model_copy(update={"keep_transparency": True})
    synthesize.main(study.model_copy(update={"synthesis": recipe}), "clrjit", 1)
    with cube.open_cube(layout.prototypes("clrjit", 1)) as made:
        assert attributes.read(made)["prior"] == said
        assert made.transparency.shape[-3:] == (60, 32, 32)
        assert made.transparency.max() == 255
        assert attributes.read(made)["synthesis"]["transforms"]["crop"] == [0.8, 1.0]
