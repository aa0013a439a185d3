"""The command that trains the prior `natural`: from a folder to a file that `synthesize` takes."""

import sys

import numpy as np
import pytest
from PIL import Image

from protoviz import files
from protoviz.cli.main import main
from protoviz.config import natural_prior
from protoviz.models.priors import base


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["protoviz", "train-prior", *map(str, arguments)])
    status = 0
    try:
        main()
    except SystemExit as exit_:
        status = exit_.code
    printed = capsys.readouterr()
    return printed.out, printed.err, status


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(8):
        small = Image.fromarray(rng.integers(0, 256, (5, 6, 3), np.uint8))
        small.resize((60, 50), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    return folder


def test_from_photographs_to_a_prior(monkeypatch, capsys, tmp_path, photographs):
    small = natural_prior.natural_prior(
        {"components": (2, 2, 2), "widths": (4, 4), "image_size": 32, "photograph_size": 40, "crops": 1}
        | {"adversary_steps": 1}
    )
    monkeypatch.setattr(natural_prior, "NATURAL", small)
    out = tmp_path / "mine.safetensors"
    arguments = (photographs, "--out", out, "--steps", 2, "--seed", 3, "--device", "cpu")
    printed, _, status = run(monkeypatch, capsys, *arguments)
    assert status == 0
    digest = files.sha256(out)
    lines = printed.splitlines()
    assert lines[0].split() == ["step", "pixel_loss", "feature_loss", "adversary_loss"]
    assert lines[-1].endswith(f"MB, SHA-256 {digest}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.safetensors", "photographs"]
    prior = base.load("natural", weights=out, sha256=digest)
    assert (prior.latent_size, prior.image_size) == (6, 32)


def test_from_photographs_to_a_spectrum(monkeypatch, capsys, tmp_path, photographs):
    out = tmp_path / "mine.safetensors"
    arguments = (photographs, "--prior", "maco", "--out", out, "--size", 40)
    printed, _, status = run(monkeypatch, capsys, *arguments)
    assert status == 0
    digest = files.sha256(out)
    assert printed.splitlines()[-1].endswith(f"kB, SHA-256 {digest}")
    prior = base.load("maco", weights=out, sha256=digest, size=(24, 32))
    assert prior.image_size == (24, 32)
    assert (prior.spectrum != base.load("maco", size=(24, 32)).spectrum).any()
    for options, message in {
        (
            "--prior",
            "maco",
            "--steps",
            3,
        ): "--steps: expected an option of prior maco, found one of prior natural",
        ("--size", 40): "--size: expected an option of prior natural, found one of prior maco",
        ("--prior", "maco", "--size", 8): "--size: expected at least 32 px, found 8",
    }.items():
        _, error, status = run(monkeypatch, capsys, photographs, "--out", out, *options)
        assert status == 1
        assert message in error


def test_what_it_cannot_use_ends_in_one_line(monkeypatch, capsys, tmp_path, photographs):
    out = tmp_path / "mine.safetensors"
    wrong = {
        "photographs: expected more of them to train on": (photographs,),
        "none: expected a folder of photographs": (tmp_path / "none",),
        "settings: steps: expected a number of at least 1": (photographs, "--steps", 0),
    }
    for message, arguments in wrong.items():
        printed, error, status = run(monkeypatch, capsys, *arguments, "--out", out, "--device", "cpu")
        assert (printed, status) == ("", 1)
        assert message in error
        assert not out.exists()


def test_the_help_says_how_many_steps_are_the_default(monkeypatch, capsys):
    printed, _, status = run(monkeypatch, capsys, "--help")
    assert status == 0
    assert f"(default: {natural_prior.NATURAL.steps})" in " ".join(printed.split())
