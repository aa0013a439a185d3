"""The verdicts of study B: found where they are, not where they are not, and said so in the table."""

import numpy as np
import pytest

from protoviz.analysis.findings import finetuning
from protoviz.analysis.findings.finetuning import Effect, Space
from protoviz.analysis.findings.separation import Estimate
from protoviz.analysis.findings.verdicts import NOT_COMPUTED, NOT_SUPPORTED, SUPPORTED, UNDECIDED
from protoviz.config.finetuning import Projection, Umap
from protoviz.report.finetuning_table import WIDTH, table

STATES = ("random", "pretrained", "finetuned")
LAYERS = [f"layer{k // 8}.{k // 4 % 2}.conv1" for k in range(32)]
SETTINGS = Projection(
    runs=1,
    repeats=1,
    embedders=["pixels"],
    batch_size=8,
    umap=Umap(neighbours=5, min_dist=0.1, epochs=10, alignment=0.01),
    seeds=[0],
    permutations=99,
    resamples=50,
)
TRAINING = {
    "random": {"classes": 10, "accuracy": 9.0, "chance": 10.0},
    "pretrained": {},
    "finetuned": {"classes": 5, "accuracy": 81.25, "chance": 20.0},
}
ABOUT = {
    "title": "toy",
    "prototypes": 96,
    "units": 32,
    "layers": 8,
    "excluded_percent": 0.0,
    "training": TRAINING,
}


def space(by_layer=0.0, by_state=0.0, name="pixels", seed=0):
    """Units that lie together with those of their layer, and move from state to state."""
    rng = np.random.default_rng(seed)
    layer = by_layer * rng.standard_normal((8, 6))[np.arange(32) // 4]
    state = by_state * rng.standard_normal((3, 1, 6))
    own = rng.standard_normal((32, 6))
    return Space(name, own + layer + state + rng.standard_normal((3, 32, 6)))


def collected(*spaces):
    found = finetuning.collect(ABOUT, spaces, STATES, LAYERS, SETTINGS)
    return {finding["id"]: finding for finding in found["findings"]}, found


def test_layers_and_states_that_lie_apart_are_found_in_every_space():
    findings, _ = collected(space(3.0, 2.0), space(3.0, 2.0, "UMAP of pixels, seed 0", seed=1))
    assert list(findings) == ["Q7a", "Q7a by depth", "Q7b", "Q7b by depth"]
    assert all(findings[name]["verdict"] == SUPPORTED for name in ("Q7a", "Q7b"))
    assert findings["Q7a"]["agrees"] == "12 of 12"  # 2 spaces x 3 states x (layers, blocks)
    assert findings["Q7b"]["agrees"] == "12 of 12"  # 2 spaces x 3 pairs x (energy distance, AUC)
    assert findings["Q7a by depth"]["agrees"].endswith(" of 6")  # 2 spaces x 3 states
    assert findings["Q7b by depth"]["agrees"].endswith(" of 36")  # as Q7b, of three groups each


def test_blocks_are_what_names_begin_with_as_long_as_no_block_has_most_units():
    resnet = [
        "conv1",
        "layer1.0.conv1",
        "layer1.0.conv2",
        "layer2.0.conv1",
        "layer2.0.conv2",
        "layer3.0.conv1",
    ]
    assert finetuning.blocks(resnet) == ["conv1", "layer1", "layer1", "layer2", "layer2", "layer3"]
    efficient = [
        "conv_stem",
        "blocks.0.0.conv_dw",
        "blocks.0.0.conv_pw",
        "blocks.1.0.conv_pw",
        "blocks.1.1.conv_pw",
    ]
    assert finetuning.blocks(efficient) == ["conv_stem", "blocks.0", "blocks.0", "blocks.1", "blocks.1"]
    assert finetuning.blocks(["a.b", "a.b", "a.b"]) == ["a.b"] * 3


def test_of_a_single_layer_there_is_no_silhouette_and_the_table_says_so():
    found = finetuning.collect(ABOUT, [space()], STATES, ["one"] * 32, SETTINGS)
    assert all(effect["value"] is None for effect in found["findings"][0]["effect"])
    assert "[not defined]" in table(found)


def test_depths_are_thirds_of_the_layers_in_their_order():
    layers = ["stem", "stem", "b", "a", "a", "c", "d", "head"]
    early, middle, late = "early", "middle", "late"
    assert finetuning.depths(layers) == [early, early, early, middle, middle, middle, late, late]
    assert finetuning.depths(["one"]) == [early]


def test_layers_that_lie_apart_by_their_depth_alone_are_found():
    rng = np.random.default_rng(0)
    depth = np.array([finetuning.DEPTHS.index(one) for one in finetuning.depths(LAYERS)])
    points = 4 * np.eye(3)[depth] + rng.standard_normal((3, 32, 3))
    findings, _ = collected(Space("pixels", points))
    assert findings["Q7a by depth"]["verdict"] == SUPPORTED
    values = {effect["measure"]: effect["value"] for effect in findings["Q7a"]["effect"]}
    (deep,) = {effect["value"] for effect in findings["Q7a by depth"]["effect"] if effect["of"] == "random"}
    assert max(values.values()) < deep, "layers of one depth lie together"


def test_states_that_differ_in_late_layers_alone_do_so_there():
    rng = np.random.default_rng(0)
    late = np.array(finetuning.depths(LAYERS)) == "late"
    points = rng.standard_normal((3, 32, 6))
    points += 4 * late[:, None] * rng.standard_normal((3, 1, 6))
    findings, _ = collected(Space("pixels", points))
    agreeing = {effect["measure"] for effect in findings["Q7b by depth"]["effect"] if effect["agrees"]}
    assert {measure.rpartition(", ")[2] for measure in agreeing} == {"late layers"}
    assert findings["Q7b by depth"]["verdict"] == UNDECIDED


def test_without_a_difference_there_is_no_verdict_for_it():
    findings, _ = collected(space())
    assert findings["Q7a"]["verdict"] != SUPPORTED
    assert findings["Q7b"]["verdict"] != SUPPORTED
    assert int(findings["Q7b"]["agrees"].split()[0]) <= 1


def test_a_claim_that_holds_in_the_map_alone_is_mixed():
    findings, _ = collected(space(0.0, 0.0), space(0.0, 3.0, "UMAP of pixels, seed 0"))
    assert findings["Q7b"]["verdict"] == UNDECIDED


def effect(value, p, low=np.nan, expected=0.0):
    return Effect("pixels", "random", "AUC", Estimate(value, low, np.inf, expected, p))


@pytest.mark.parametrize(
    ("effects", "expected"),
    [
        ([], NOT_COMPUTED),
        ([effect(1.0, 0.01)], SUPPORTED),
        ([effect(1.0, 0.05)], UNDECIDED),
        ([effect(1.0, 0.01, low=-0.1)], UNDECIDED),
        ([effect(1.0, 0.01, low=0.1)], SUPPORTED),
        ([effect(0.6, 0.01, expected=0.7)], NOT_SUPPORTED),
        ([effect(-1.0, 1.0), effect(1.0, 0.01)], UNDECIDED),
    ],
)
def test_a_number_agrees_by_its_test_and_its_interval(effects, expected):
    assert finetuning.verdict(effects) == expected


def test_numbers_are_the_same_whatever_stands_beside_them():
    alone, _ = collected(space(1.0, 1.0))
    both, _ = collected(space(1.0, 1.0, "reference", seed=5), space(1.0, 1.0))
    for name in ("Q7a", "Q7b"):
        assert [each for each in both[name]["effect"] if each["space"] == "pixels"] == alone[name]["effect"]


def test_metrics_hold_the_accuracies_and_every_number():
    _, found = collected(space(1.0, 1.0))
    tree = finetuning.metrics(found, TRAINING)
    assert tree["accuracy"] == {"random": 9.0, "pretrained": None, "finetuned": 81.25}
    groupings = ("layers", "blocks", "depths")
    assert set(tree["pixels"]["random"]) == {f"silhouette of {what}" for what in groupings}
    measures = {"energy distance", "AUC of neighbours"}
    measures |= {f"{one}, {depth} layers" for one in measures for depth in finetuning.DEPTHS}
    assert set(tree["pixels"]["random, pretrained"]) == measures


def test_the_table_says_it_all_in_a_hundred_columns():
    _, found = collected(space(3.0, 0.0), space(3.0, 0.0, "UMAP of reference, seed 1000", seed=1))
    lines = table(found).splitlines()
    assert max(map(len, lines)) <= WIDTH
    text = "\n".join(lines)
    for words in ("toy", "finetuned", "81.2", "not known here", "Q7a", "Q7b", "UMAP of reference, seed 1000"):
        assert words in text, words
    assert SUPPORTED.upper() in text
    assert "[" in text, "what does not agree is in brackets"
