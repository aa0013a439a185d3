"""The benchmark of a GPU, in miniature on the processor, with no packages but those it says it needs."""

import dataclasses
import re
import subprocess
import sys
import time
from importlib import metadata

import numpy as np
import pytest
import torch

from benchmarks import gpu, gpu_agreement, gpu_prototypes
from benchmarks.gpu_cases import CPU, case
from benchmarks.parts import Budget, Setting
from protoviz import compute
from protoviz.store.cube import Shard

NEEDED = ("torch", "torchvision", "numpy", "xarray", "zarr", "pydantic", "ruamel.yaml", "safetensors", "timm")
LAYERS = ("layer1", "layer2", "layer3", "layer4")
OURS = {"protoviz", "benchmarks", "stages"}

# Runs the benchmark in a process that does not find the modules named in its first argument.
ALONE = """
import sys
from importlib.machinery import PathFinder

absent = set(sys.argv.pop(1).split(","))


class Rest(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in absent else super().find_spec(name, path, target)


sys.meta_path[:] = [Rest if finder is PathFinder else finder for finder in sys.meta_path]
from benchmarks import gpu

gpu.main(sys.argv[1:])
"""


def others(*needed):
    """The modules that are installed here and belong neither to these packages nor to what they need."""
    kept, waiting = set(), list(needed)
    while waiting:
        name = re.split(r"[^A-Za-z0-9._-]", waiting.pop())[0]
        normal = re.sub(r"[-_.]+", "-", name).lower()
        if normal in kept:
            continue
        kept.add(normal)
        try:
            asked = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # needed elsewhere, or on other systems
            continue
        waiting += [one for one in asked if "extra ==" not in one]
    return {
        module
        for module, names in metadata.packages_distributions().items()
        if not kept & {re.sub(r"[-_.]+", "-", name).lower() for name in names}
    } - OURS


def alone(absent, *arguments):
    command = [sys.executable, "-c", ALONE, ",".join(sorted(absent)), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def table():
    """All parts, no time for any, where nothing is found that the benchmark does not say it needs."""
    absent = others(*NEEDED, "lightly")
    assert {"dvc", "distributed", "umap", "sklearn", "scipy", "matplotlib", "threadpoolctl", "cma"} <= absent
    done = alone(absent, "--miniature", "--device", "cpu", "--threads", "1", "--seconds", "0")
    assert not done.returncode, done.stderr
    return done.stdout


@pytest.mark.slow
def test_all_parts_run_with_nothing_but_what_they_need(table):
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")][2:]
    assert {row[0] for row in rows} == {"a", "b", "c", "d"}
    assert "failed" not in table
    for what in ("fc6, preset fast", "natural, preset gentle", "fourier, preset fourier"):
        assert sum(row[1] == what and "prototypes/s" in row[2] for row in rows) == 1
    assert table.count("images/s") == 4
    assert table.count(" times | the same step") == 1
    assert table.count("SimCLR: two runs | the same bytes, ") == 1


@pytest.mark.slow
def test_a_processor_agrees_with_itself(table):
    assert table.count(", within ") == 6
    assert "not within" not in table
    assert table.count("activation over that found on the CPU | 1.0000 in the median") == 2


@pytest.mark.slow
def test_what_there_was_no_time_for_is_said(table):
    assert table.count("**cut short**: 4 of 60 units; ") == 3
    assert table.count("**cut short**: 1 of 4 layers; ") == 2 + 2
    assert table.count("**cut short**: 0 of ") == 4
    assert table.count("two runs | not run | **cut short**") == 3
    assert "- seconds of the parts: a 0, b 0, c 0, d 0" in table


@pytest.mark.slow
def test_with_time_enough_nothing_is_cut_short(monkeypatch):
    for module in (gpu_prototypes, gpu_agreement):
        monkeypatch.setattr(module, "CASES", ("fc6", "fourier"))
    monkeypatch.setattr(gpu_prototypes, "ROUNDS", 2)
    monkeypatch.setattr(gpu_agreement, "AGREEING", ("fc6",))
    compute.repeatable(CPU)
    setting, enough = Setting.miniature(CPU, 1), 1000.0
    rows = list(gpu_prototypes.a_second(setting, Budget(enough), {"bfloat16": 1e12}))
    assert [row.how.split(" in ")[0] for row in rows if "prototypes/s" in row.result] == ["60 units"] * 2
    (published,) = (row for row in rows if "over the paper's" in row.what)
    assert [said.split()[0] for said in published.result.split(", ")] == list(LAYERS)
    rows += gpu_agreement.twice(setting, Budget(enough))
    assert [row.result[:15] for row in rows if row.part == "d"] == ["the same bytes,"] * 2
    rows += gpu_agreement.agreement(setting, Budget(enough))
    assert not [row for row in rows if "cut short" in row.how]


@pytest.mark.slow
def test_the_parts_without_training_do_without_lightly():
    arguments = ["--miniature", "--device", "cpu", "--threads", "1", "--parts", "b", "--seconds", "0"]
    done = alone(others(*NEEDED), *arguments)
    assert not done.returncode, done.stderr
    assert "| b | SimCLR | left out | lightly is not installed |" in done.stdout


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_where_there_is_no_gpu_one_line_says_so():
    with pytest.raises(SystemExit) as raised:
        gpu.main([])
    assert str(raised.value).startswith("device 'cuda': expected a GPU, found none")
    assert "\n" not in str(raised.value)


def test_a_part_that_there_is_not_is_said(capsys):
    with pytest.raises(SystemExit):
        gpu.main(["--parts", "a,e"])
    assert "no part 'e': there are a, b, c, d" in capsys.readouterr().err


def test_the_parts_fit_in_six_minutes_with_a_minute_to_spare():
    assert sum(part.seconds for part in gpu.parts({}).values()) <= 300


def test_a_part_that_fails_leaves_the_others_their_time(monkeypatch, capsys):
    def broken(*_, **__):
        raise RuntimeError("no memory\nand more")

    monkeypatch.setattr(gpu.gpu_prototypes, "a_second", broken)
    monkeypatch.setattr(gpu.gpu_agreement, "agreement", lambda *_: iter([gpu.Row("c", "fine", "1", "")]))
    arguments = ["--parts", "a,c", "--device", "cpu", "--miniature", "--threads", "1"]
    with pytest.raises(SystemExit, match="failed: a"):
        gpu.main(arguments)
    printed = capsys.readouterr().out
    assert "| a | prototypes a second | **failed**: RuntimeError | no memory |" in printed
    assert "| c | fine | 1 |  |" in printed


def test_a_budget_is_shared_by_what_is_left():
    budget = Budget(10.0, begun=time.perf_counter() - 4)
    assert budget.left == pytest.approx(6, abs=0.1)
    assert budget.share(3).seconds == pytest.approx(2, abs=0.1)
    assert Budget(1.0, begun=time.perf_counter() - 4).share(2).seconds == 0


def shard(rng, count=3):
    return Shard(
        image=rng.integers(0, 200, (count, 4, 4, 3), np.uint8),
        latent=rng.standard_normal((count, 5)).astype(np.float16),
        activation=1 + rng.random(count, np.float32),
        activation_trace=rng.random((count, 2), np.float32),
        status=np.ones(count, np.uint8),
    )


def test_other_bytes_are_told_from_the_same():
    first = shard(np.random.default_rng(0))
    assert gpu_agreement.difference(first, shard(np.random.default_rng(0))).startswith("the same bytes, ")
    image, activation = first.image.copy(), first.activation.copy()
    image[1, 2, 3, 0] += 7
    activation[2] *= 1 + 1e-3
    other = dataclasses.replace(first, image=image, activation=activation)
    assert "1 of 3 images differ, by up to 7 levels" in gpu_agreement.difference(first, other)
    trace = dataclasses.replace(first, activation_trace=first.activation_trace + 1)
    assert "0 of 3 images differ" in gpu_agreement.difference(first, trace)


def test_a_response_or_an_image_that_is_not_the_processors_is_found():
    one = case("fc6", Setting.miniature(CPU, 1))
    units, network = {"layer1": [0, 2], "layer3": [5]}, one.network()
    made = one.made(units, one.recipe, CPU, network)
    assert gpu_agreement._responses_apart(network, units, one.recipe, made) < gpu_agreement.RESPONSE
    assert gpu_agreement._levels_apart(one, one.recipe, made)[0] <= gpu_agreement.LEVELS
    activation, image = made.activation.copy(), made.image.copy()
    activation[2] *= 1.01
    image[0, 0, 0] ^= 8
    other = dataclasses.replace(made, activation=activation)
    assert gpu_agreement._responses_apart(network, units, one.recipe, other) == pytest.approx(0.01, rel=0.05)
    other = dataclasses.replace(made, image=image)
    assert gpu_agreement._levels_apart(one, one.recipe, other)[0] >= 7
    assert gpu_agreement._within(0.2, 0.1) == "**not within** 0.1"
