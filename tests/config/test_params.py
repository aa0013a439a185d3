"""params.yaml: the default is accepted, everything else is refused in one clear line."""

import copy
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from protoviz.config import params
from protoviz.config.synthesis import PRESETS
from protoviz.errors import StudyError

DEFAULT = Path(__file__).parents[2] / "params.yaml"
FULL = DEFAULT.parent / "presets/learnt-prior.yaml"  # every section of it is filled in
MISSING = object()


def raw(path: Path = FULL) -> dict[str, Any]:
    return dict(YAML(typ="safe").load(path))


def changed(place: str, value: Any) -> dict[str, Any]:
    """A full study with one value replaced, added or (MISSING) taken away."""
    study = copy.deepcopy(raw())
    *sections, name = place.split("/")
    block: Any = study
    for section in sections:
        block = block[section]
    if value is MISSING:
        del block[name]
    else:
        block[name] = value
    return study


def refused(study: Any) -> str:
    with pytest.raises(StudyError) as caught:
        params.parse(study, "params.yaml")
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 250
    return message


def test_the_default_is_accepted() -> None:
    study = params.load(DEFAULT)
    # a number of units, so that images are the same to the bit; few levels and no latents, so that they can
    # be published; fewer steps
    own = ("batch_size", "levels", "keep_latents", "start", "ascent", "transforms")
    fixed = {name: getattr(study.synthesis, name) for name in own}
    assert study.synthesis.batch_size != "auto"
    assert study.synthesis == PRESETS["fourier"].model_copy(update=fixed), "as params.yaml says"
    assert study.synthesis.ascent.steps < PRESETS["fourier"].ascent.steps
    assert study.reference is None
    assert study.generator is None
    assert list(study.conditions) == ["clrjit", "keepclr"]
    assert study.train.weight_decay == 5e-4  # a number in YAML 1.2, text in YAML 1.1


@pytest.mark.parametrize("name", ["paper", "as-written"])
def test_the_studies_of_the_paper_are_accepted(name: str) -> None:
    study = params.load(DEFAULT.parent / "presets" / f"{name}.yaml")
    assert study.synthesis == PRESETS[name]
    assert study.train.keep == list(range(101))
    assert (study.backbone.width, study.images.size, study.train.batch_size) == (64, 96, 1024)


def test_study_b_of_the_abstract_is_accepted() -> None:
    study = params.load(DEFAULT.parent / "presets" / "paper-b.yaml").training_stages
    assert (study.network.model, study.network.size, study.units.per_layer) == ("seresnext50_32x4d", 224, 64)
    assert study.pretrain.weights is not None
    assert study.pretrain.sha256 is not None
    assert study.pretrain.sha256 in study.pretrain.weights
    assert study.synthesis.objective.activation == "pre"
    assert study.synthesis.transforms.active


def test_a_prior_of_the_study_s_own_is_accepted() -> None:
    study = params.load(FULL)
    fixed = {"batch_size": study.synthesis.batch_size, "levels": study.synthesis.levels}
    assert study.prior.name == "generator"
    assert study.synthesis == PRESETS["natural"].model_copy(update=fixed), "as the file says"
    assert study.distances.embedders[0] == "reference"


def test_the_spectrum_of_the_study_s_own_images() -> None:
    raw = params.read(DEFAULT)
    raw["prior"] = {"name": "maco", "weights": params.OWN, "sha256": None}
    assert params.parse(raw, "here").prior.weights == "images"
    for change, message in (
        ({"sha256": "0" * 64}, r"prior\.sha256: expected null, as they are made here"),
        ({"name": "natural"}, r"prior\.weights: expected a path or URL, found 'images'"),
    ):
        with pytest.raises(StudyError, match=message):
            params.parse({**raw, "prior": raw["prior"] | change}, "here")


def test_study_b_looks_at_eight_units_of_every_convolution_of_an_imagenet_network() -> None:
    study = params.load(DEFAULT).training_stages
    assert (study.network.model, study.pretrain.weights) == ("tf_efficientnet_lite0", "installed")
    assert (study.units.per_layer or 0) >= 8
    assert study.synthesis.objective == PRESETS["fourier"].objective
    assert study.synthesis.transforms.active


def test_a_condition_changes_only_what_it_names() -> None:
    study = params.load(DEFAULT)
    ours = study.augmentation("keepclr").model_dump()
    different = {name for name, value in study.augment.model_dump().items() if ours[name] != value}
    assert different == {"cj_prob", "random_gray_scale"}
    assert study.augmentation("clrjit").sigmas == (0.1, 2.0)


def test_parameters_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        params.load(DEFAULT).train.epochs = 3


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        # names
        ("train/epoch", 8, "train.epoch: expected a parameter that exists, found an unknown name, 'epoch'"),
        (
            "trian",
            {},
            "trian: expected a parameter that exists, found an unknown name, 'trian'; did you mean 'train'?",
        ),
        ("train/epochs", MISSING, "train.epochs: expected a value, found none; add the parameter"),
        ("probe", MISSING, "probe: expected a value, found none"),
        ("conditions/clrjit/cj_bob", 1, "conditions.clrjit.cj_bob: expected a parameter that exists"),
        # types
        ("train/epochs", "8", "train.epochs: expected a whole number, found '8'; correct the value"),
        ("train/epochs", 8.5, "train.epochs: expected a whole number, found 8.5"),
        ("train/epochs", True, "train.epochs: expected a whole number, found True"),
        ("atlas/quality", 0, "atlas.quality: expected 'lossless' or a number of at least 1, found 0"),
        ("atlas/quality", "best", "atlas.quality: expected 'lossless' or a whole number, found 'best'"),
        ("atlas/strips_above", 9.0, "atlas.strips_above: expected a number of at most 8.0, found 9"),
        ("atlas/runs", [1, 9], "atlas.runs: expected some of 1, 2, found 9"),
        ("train/lr", "5e-4", "train.lr: expected a number, found '5e-4'"),
        ("train/lr", None, "train.lr: expected a number, found nothing"),
        ("train/lr", float("inf"), "train.lr: expected a finite number, found inf"),
        ("title", 5, "title: expected text, found 5"),
        ("runs", 1, "runs: expected a list, found 1"),
        ("runs", ["1"], "runs.0: expected a whole number, found '1'"),
        ("train", 8, "train: expected a block of parameters, found 8"),
        (
            "conditions",
            ["clrjit"],
            "conditions: expected a block of parameters, {} for none, found ['clrjit']",
        ),
        (
            "conditions/clrjit",
            None,
            "conditions.clrjit: expected a block of parameters, {} for none, found nothing",
        ),
        ("conditions/clrjit/cj_prob", "x", "conditions.clrjit.cj_prob: expected a number, found 'x'"),
        ("augment/sigmas", [1], "augment.sigmas.1: expected a value, found none"),
        # values
        (
            "conditions/clrjit/cj_prob",
            2,
            "conditions.clrjit.cj_prob: expected a number of at most 1.0, found 2",
        ),
        ("augment/cj_hue", 0.6, "augment.cj_hue: expected a number of at most 0.5, found 0.6"),
        ("augment/cj_strength", 3.0, "augment.cj_hue: expected cj_strength times cj_hue of at most 0.5"),
        ("augment/hf_prob", MISSING, "augment.hf_prob: expected a value, found none; add the parameter"),
        ("reference/augment/cj_sat", MISSING, "reference.augment.cj_sat: expected a value, found none"),
        ("reference/seed", 1, "reference.seed: expected a seed that no analysed network has, found 1"),
        ("backbone/name", "resnet81", "backbone.name: expected 'resnet18', found 'resnet81'"),
        (
            "distances/embedders",
            ["pixel"],
            "distances.embedders.0: expected one of efficientnet_lite0, reference, pixels, resnet50",
        ),
        (
            "distances/embedders",
            ["resnet50:random"],
            "distances.embedders.0: expected one of efficientnet_lite0, reference, pixels",
        ),
        (
            "receptive_fields/estimate",
            "papers",
            "receptive_fields.estimate: expected 'as-written' or 'paper'",
        ),
        ("natural/top", 0, "natural.top: expected a number of at least 1, found 0"),
        ("images/size", 66, "images.size: expected a multiple of 4, found 66"),
        ("generator/width", 12, "generator.width: expected a number above 12, found 12"),
        ("augment/min_scale", 0, "augment.min_scale: expected a number above 0.0, found 0"),
        (
            "augment/sigmas",
            [2, 1],
            "augment.sigmas: expected two numbers in ascending order, found [2.0, 1.0]",
        ),
        (
            "conditions/clrjit/sigmas",
            [2, 1],
            "conditions.clrjit.sigmas: expected two numbers in ascending order",
        ),
        ("train/momentum", 1, "train.momentum: expected a number below 1.0, found 1"),
        ("train/batch_size", 1, "train.batch_size: expected a number of at least 2, found 1"),
        ("compute/device", "gpu", "compute.device: expected text of the form "),
        (
            "images/source",
            "imagenet",
            "images.source: expected 'procedural', 'microbes', 'stl10', 'cifar10' or 'folder', found",
        ),
        (
            "images/path",
            "/tmp",
            "images.path: expected null, as source procedural makes its own images, found '/tmp'",
        ),
        (
            "images/train",
            None,
            "images.train: expected a number, as source procedural has no end, found null",
        ),
        (
            "images/source",
            "folder",
            "images.path: expected the folder in which the images of source folder lie",
        ),
        ("synthesis/start/top", 5000, "synthesis.start.top: expected at most pool, 2048, found 5000"),
        (
            "synthesis/evolution/parents",
            31,
            "synthesis.evolution.parents: expected at most samples, 30, found 31",
        ),
        (
            "synthesis/transforms/scale",
            [2, 1],
            "synthesis.transforms.scale: expected two numbers in ascending order, found [2.0, 1.0]",
        ),
        ("synthesis/ascent/longest", 1, "synthesis.ascent.longest: expected a number above 1.0, found 1"),
        ("synthesis/objective/position", "middle", "synthesis.objective.position"),
        (
            "synthesis/transforms/crop",
            [0.9, 0.5],
            "synthesis.transforms.crop: expected two numbers in ascending",
        ),
        (
            "synthesis/transforms/crop",
            [0.5, 1.5],
            "synthesis.transforms.crop.1: expected a number of at most 1",
        ),
        ("synthesis/transforms/noise", -1, "synthesis.transforms.noise: expected a number of at least 0"),
        ("synthesis/precision", "float16", "synthesis.precision: expected 'float32', 'bfloat16' or 'auto'"),
        ("synthesis/batch_size", 0, "synthesis.batch_size"),
        (
            "prior/name",
            "gan",
            "prior.name: expected 'natural', 'generator', 'deepsim', 'fourier', 'pixels' or 'maco'",
        ),
        ("prior/name", "deepsim", "prior.weights: expected a path or URL, as prior deepsim has trained"),
        (
            "prior/weights",
            "x.pt",
            "prior.weights: expected null, as prior generator takes none, found 'x.pt'",
        ),
        ("runs", [], "runs: expected at least 1 entries, found []"),
        ("conditions", {}, "conditions: expected at least 1 entries, found {}"),
        (
            "distances/embedders",
            ["pixels"] * 2,
            "distances.embedders: expected each entry once, found 'pixels' twice",
        ),
        # conditions, runs, epochs
        (
            "conditions/keep.clr",
            {},
            "conditions.keep.clr: expected a condition name of a-z, 0-9 and _ only, found",
        ),
        (
            "conditions/keep-clr",
            {},
            "conditions.keep-clr: expected a condition name of a-z, 0-9 and _ only, found",
        ),
        (
            "conditions/Clr",
            {},
            "conditions.Clr: expected a condition name of a-z, 0-9 and _ only, found 'Clr'; rename",
        ),
        (
            "conditions/findings",
            {},
            "conditions: expected another name, as this one is taken, found 'findings'",
        ),
        ("runs", [1, 2, 1], "runs: expected each entry once, found 1 twice; list it once"),
        ("runs", [-1], "runs.0: expected a number of at least 0, found -1"),
        (
            "train/keep",
            [0, 13],
            "train.keep: expected epochs up to 12, the last (train.epochs), found 13; remove it or",
        ),
        (
            "train/keep",
            [0, 4, 2],
            "train.keep: expected epochs in ascending order, found [0, 4, 2]; sort them",
        ),
        (
            "train/keep",
            [1, 2],
            "train.keep: expected 0 as the first, the untrained network, from which every measure",
        ),
        ("train/keep", [0, 2, 2], "train.keep: expected each entry once, found 2 twice"),
        ("train/keep", [], "train.keep: expected at least 1 entries, found []"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(place: str, value: Any, message: str) -> None:
    assert refused(changed(place, value)).startswith(f"params.yaml: {message}")


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("generator", None, "generator: expected its recipe, as prior.name is generator, found null"),
        (
            "reference",
            None,
            "reference: expected the reference encoder's recipe, for prior.name: generator, "
            "distances.embedders: reference, projection.embedders: reference, found null",
        ),
        (
            "training_stages/pretrain/weights",
            "installed",
            "training_stages.network.model: expected tf_efficientnet_lite0, whose weights are installed",
        ),
    ],
)
def test_what_is_used_and_not_there_is_said(place: str, value: Any, message: str) -> None:
    assert refused(changed(place, value)).startswith(f"params.yaml: {message}")


def test_installed_weights_have_no_digest_of_the_user_s() -> None:
    study = raw(DEFAULT)
    study["training_stages"]["pretrain"]["sha256"] = "12345678"
    expected = "params.yaml: training_stages.pretrain.sha256: expected null, as the package's own is checked"
    assert refused(study).startswith(expected)


def test_a_condition_with_a_slash() -> None:
    study = raw()
    study["conditions"] = {"keep/clr": {}}
    assert refused(study).startswith(
        "params.yaml: conditions.keep/clr: expected a condition name of a-z, 0-9 and _"
    )


def test_further_problems_are_counted() -> None:
    study = changed("train/epochs", "8")
    study["runs"] = []
    assert "(and 1 more)" in refused(study)


@pytest.mark.parametrize("study", [None, [], "text", 5])
def test_a_file_that_holds_no_parameters(study: Any) -> None:
    assert refused(study).startswith("params.yaml: expected a block of parameters, found ")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        StudyError, match=r"params\.yaml: expected the parameters of the study, found no such file"
    ):
        params.load(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: {epochs: 8\nruns: [1]", "in line 2; correct the line"),
        ("runs: [1]\nruns: [2]", 'found duplicate key "runs"'),
        ("title: a\n\tb: c", "in line 2"),
    ],
)
def test_a_file_that_is_not_yaml(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(StudyError) as caught:
        params.load(tmp_path / "params.yaml")
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'params.yaml'}: expected YAML, found ")
    assert "\n" not in str(caught.value)
