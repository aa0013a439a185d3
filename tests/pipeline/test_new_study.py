"""A study of checkpoints that somebody else has trained, from `protoviz init` to the cube and the atlas."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import xarray as xr
from PIL import Image
from ruamel.yaml import YAML

import protoviz
import stages
from protoviz import files, layout
from protoviz.callbacks import Checkpoints
from protoviz.cli import main as cli
from protoviz.config import params, studies, synthesis
from protoviz.config.finetuning import Maps
from protoviz.config.series import SeriesStudy
from protoviz.errors import StudyError
from protoviz.models import checkpoints, resnet
from protoviz.models.readout.network import Network
from protoviz.pipeline import fingerprint
from protoviz.synthesis import analysed
from stages import (
    appearance,
    atlas,
    cube,
    dataset,
    distances,
    figures,
    findings,
    metrics,
    probe,
    projection,
    receptive_fields,
    reference,
    responses,
    synthesize,
    train,
)
from stages import checkpoints as importing

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PATTERN = "runs/{condition}/seed{run}/checkpoint-{epoch}.pth.tar"
COLOURS = ["--mean", "0.4", "0.5", "0.6", "--std", "0.2", "0.2", "0.3"]

CODE = """
from torch import nn

def block(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU())

class Net(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.stem, self.body, self.top = block(3, 4), block(4, 6), block(6, 5)
        self.fc = nn.Linear(5, classes)

    def forward(self, x):
        return self.fc(self.top(self.body(self.stem(x))).mean((2, 3)))
"""


def command(*arguments):
    before = sys.argv
    sys.argv = ["protoviz", *map(str, arguments)]
    try:
        cli.main()
    finally:
        sys.argv = before


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Checkpoints of two conditions and two runs, and the code of their network."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "net.py").write_text(CODE)
    draw = np.random.default_rng(0)
    for number in range(36):
        path = folder / "photographs" / f"class{number % 3}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (30, 26, 3), dtype=np.uint8)).save(path)
    space = {}
    exec(CODE, space)
    for condition in ("Plain", "mixed-up"):
        for run in (1, 2):
            for epoch in (0, 5):
                torch.manual_seed(hash_of(condition, run, epoch))
                state = {f"module.{name}": one for name, one in space["Net"](3).state_dict().items()}
                path = folder / PATTERN.format(condition=condition, run=run, epoch=epoch)
                path.parent.mkdir(parents=True, exist_ok=True)
                torch.save({"state_dict": state, "epoch": epoch}, path)
    return folder


def hash_of(condition, run, epoch):
    return len(condition) + 100 * run + 1000 * epoch


def shortened(study):
    """The study with few steps."""
    values = YAML(typ="safe").load(study / "params.yaml")
    values["synthesis"]["ascent"]["steps"] = 3
    values["synthesis"]["repeats"] = 1
    values["receptive_fields"] |= {"noise": 4, "probes": 2}
    if values["probe"]:
        values["probe"] |= {"max_iter": 100, "adam_epochs": 3}
    values["projection"]["umap"]["epochs"] = 10
    with (study / "params.yaml").open("w") as file:
        YAML().dump(values, file)


@pytest.fixture(scope="module")
def study(trained):
    """A study made by `protoviz init`, and run up to its atlas."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(trained)
        command(
            "init",
            "study",
            "--model",
            "net.py:Net",
            "--checkpoints",
            PATTERN,
            "--size",
            24,
            "--channels",
            3,
            "--images",
            "photographs",
            *COLOURS,
        )
        shortened(trained / "study")
        patch.chdir(trained / "study")
        read = studies.parse(params.read("params.yaml"), "params.yaml")
        dataset.main(read)
        for condition in read.conditions:
            for run in read.runs:
                for stage in (
                    importing,
                    receptive_fields,
                    synthesize,
                    distances,
                    appearance,
                    responses,
                    probe,
                ):
                    stage.main(read, condition, run)
        cube.main(read)
        for condition in read.conditions:
            metrics.main(read, condition)
        for stage in (projection, findings, figures, atlas):
            stage.main(read)
    return trained / "study"


def test_what_was_found_is_in_the_parameters(study):
    read = studies.parse(params.read(study / "params.yaml"), "params.yaml")
    assert isinstance(read, SeriesStudy)
    assert read.conditions == {"plain": {"name": "Plain"}, "mixed_up": {"name": "mixed-up"}}
    assert (read.runs, read.epochs) == ([1, 2], [0, 5])
    assert read.checkpoints.layers == ["stem", "body", "top"]
    assert read.checkpoints.files == f"../{PATTERN}"
    assert read.checkpoints.network == "../net.py:Net"


def test_the_cube_holds_what_the_notebook_makes(study, trained, monkeypatch):
    """Same address, same weights, same images: wherever the network came from."""
    found = xr.open_zarr(study / layout.CUBE, chunks=None).set_xindex(["layer", "channel"])
    assert found.sizes["unit"] == 9
    monkeypatch.chdir(trained)
    units = {}
    for layer, channel in zip(found.layer.values, found.channel.values, strict=True):
        units.setdefault(str(layer), []).append(int(channel))
    made = protoviz.synthesize(
        "net.py:Net",
        units,
        state=PATTERN.format(condition="mixed-up", run=2, epoch=5),
        size=24,
        mean=[0.4, 0.5, 0.6],
        std=[0.2, 0.2, 0.3],
        name="mixed_up",
        run=2,
        epoch=5,
        repeats=1,
        levels=64,
        ascent={"steps": 3},
        device="cpu",
    )
    mine = found.sel(condition="mixed_up", run=2, epoch=5)
    np.testing.assert_array_equal(mine.image, made.image.squeeze(["condition", "run", "epoch"]))
    np.testing.assert_array_equal(mine.activation, made.activation.squeeze(["condition", "run", "epoch"]))


def test_units_are_asked_about_photographs(study):
    """A sample of a layer's channels, not the first ones: each has its own responses."""
    found = xr.open_zarr(study / layout.natural("plain", 1), chunks=None)
    cube = xr.open_zarr(study / layout.prototypes("plain", 1), chunks=None)
    assert (found.channel.values == cube.channel.values).all()
    assert (cube.channel.values >= 3).any()
    assert np.isfinite(found.top_response).all()


def test_its_last_layer_is_probed(study):
    """Epoch 0 is what the trainer calls so: nothing says that it is untrained."""
    said = files.read_json(study / layout.probe_metrics("plain", 1))["probe"]
    assert set(said) == {"logistic", "svm", "adam"}
    rows = files.read_csv(study / layout.probe_curve("plain", 1))
    assert [row["epoch"] for row in rows] == ["0"] * 3 + ["5"] * 3
    names = {entry["name"] for entry in files.read_json(study / layout.FINDINGS)["measures"]}
    assert "probe_logistic" in names
    cube = xr.open_zarr(study / layout.CUBE, chunks=None)
    assert list(cube.checkpoint.values) == ["epoch 0", "epoch 5"]


def test_its_prototypes_lie_in_the_space_of_a_trained_network(study):
    apart = xr.open_zarr(study / layout.distances("plain", 1), chunks=None)
    assert list(apart.embedder.values) == ["efficientnet_lite0", "pixels"]
    places = xr.open_zarr(study / layout.projection("study"), chunks=None)
    assert np.isfinite(places.position).any()


def test_conditions_are_compared(study):
    found = files.read_json(study / layout.FINDINGS)
    assert found["kind"] == "general"
    assert (study / layout.FIGURES / "g1_grid.png").is_file() or list((study / layout.FIGURES).glob("*.png"))


def test_its_pages_and_stores_are_whole(study, monkeypatch):
    monkeypatch.chdir(study)
    assert (study / layout.ATLAS / "index.html").is_file()
    assert xr.open_zarr(layout.distances("plain", 1), chunks=None).sizes["epoch"] == 2


def test_the_pipeline_is_one_that_dvc_reads(study, monkeypatch):
    """And its parameters are those that the stages use."""
    monkeypatch.chdir(study)
    values = params.read("params.yaml")
    for name, entry in YAML(typ="safe").load(Path("dvc.yaml"))["stages"].items():
        item = {"condition": "plain", "run": 1} if "matrix" in entry else {}
        found = fingerprint.find(name, item, values)
        assert None not in found.parameters.values(), name
        reads_network = name.startswith(
            ("checkpoints-", "receptive_fields", "synthesize", "responses", "probe", "modes")
        )
        assert ("../net.py" in found.dependencies) == reads_network, name
    assert (study / ".git").is_dir()
    assert (study / ".dvc" / "config").is_file()
    from dvc.repo import Repo

    with Repo(str(study)) as repo:
        assert len(list(repo.index.stages)) == 4 * 7 + 2 + 2 + 5


def test_new_epochs_are_taken_in(study, trained, monkeypatch, capsys, tmp_path):
    """In a copy, to which the trainer adds an epoch, first of one network and then of all."""
    shutil.copytree(trained / "runs", tmp_path / "runs")
    shutil.copy(trained / "net.py", tmp_path)
    (tmp_path / "study").mkdir()
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(study / name, tmp_path / "study")
    place = tmp_path / "study" / "params.yaml"
    place.write_text("# A word of the user's.\n" + place.read_text())
    before = place.read_text()
    monkeypatch.chdir(tmp_path / "study")
    for condition in ("Plain", "mixed-up"):
        for run in (1, 2):
            made = tmp_path / PATTERN.format(condition=condition, run=run, epoch=9)
            shutil.copy(made.with_name("checkpoint-5.pth.tar"), made)
            if (condition, run) == ("Plain", 1):
                with pytest.raises(SystemExit):
                    command("update")
                assert "found none of epoch 9" in capsys.readouterr().err
                assert place.read_text() == before
    command("update")
    assert "epochs  2 -> 3: 0, 5, 9" in capsys.readouterr().out
    changed = studies.parse(params.read("params.yaml"), "params.yaml")
    assert changed.epochs == [0, 5, 9]
    assert place.read_text().startswith("# A word of the user's.\n")
    dependencies = YAML(typ="safe").load(Path("dvc.yaml"))["stages"]["checkpoints-plain-1"]["deps"]
    assert [Path(one).name for one in dependencies] == [
        *(f"checkpoint-{epoch}.pth.tar" for epoch in (0, 5, 9)),
        "net.py",
    ]
    command("update", "--epochs", "5", "9")
    assert studies.parse(params.read("params.yaml"), "params.yaml").epochs == [5, 9]
    Path("dvc.yaml").unlink()
    with pytest.raises(SystemExit):
        command("update")
    assert "dvc.yaml: expected a file of the study" in capsys.readouterr().err


def test_a_study_that_trains_its_networks_is_not_updated(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit):
        command("update")
    assert "expected a study of checkpoints, found one that trains its networks" in capsys.readouterr().err


@pytest.mark.usefixtures("study")
def test_a_study_is_not_written_over(trained, monkeypatch, capsys):
    monkeypatch.chdir(trained)
    with pytest.raises(SystemExit):
        command("init", "study", "--model", "net.py:Net", "--checkpoints", PATTERN, "--size", 24, *COLOURS)
    assert "expected a folder without a study" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--checkpoints", "runs/{condition}/{epoch}.pt"], "no file of such a name"),
        (["--epochs", "0", "3"], "none of epoch 3"),
        (["--layers", "bod"], "did you mean body"),
        (["--model", "net.py:Nett"], "it has"),
        (["--model", "timm:resnet10t"], "found"),
        (["--arg", "classes"], "expected NAME=VALUE"),
    ],
)
def test_bad_input(trained, monkeypatch, capsys, tmp_path, change, said):
    monkeypatch.chdir(trained)
    given = {"--model": ["net.py:Net"], "--checkpoints": [PATTERN], "--size": ["24"]} | {
        change[0]: change[1:]
    }
    with pytest.raises(SystemExit):
        command(
            "init",
            tmp_path / "new",
            *(part for key, values in given.items() for part in (key, *values)),
            *COLOURS,
        )
    assert said in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_prior_gets_the_recipe_that_suits_it(trained, monkeypatch, tmp_path):
    monkeypatch.chdir(trained)
    given = ("--model", "net.py:Net", "--checkpoints", PATTERN, "--size", 24, "--channels", 1, *COLOURS)
    recipes = {}
    for prior in ("fourier", "natural", "maco"):
        command("init", tmp_path / prior, *given, "--prior", prior)
        read = studies.parse(params.read(tmp_path / prior / "params.yaml"), "params.yaml")
        assert read.prior.name == prior
        recipes[prior] = read.synthesis
    changes = {"repeats": 2, "levels": 64}
    assert recipes["natural"] == synthesis.changed("gentle", changes)
    for large in ("fourier", "maco"):
        assert recipes[large] == synthesis.changed(large, {**changes, "keep_latents": False})


def test_the_spectrum_of_its_images_is_not_that_of_a_study_of_checkpoints(trained, monkeypatch, tmp_path):
    monkeypatch.chdir(trained)
    given = ("--model", "net.py:Net", "--checkpoints", PATTERN, "--size", 24, "--channels", 1, *COLOURS)
    command("init", tmp_path / "new", *given, "--prior", "maco")
    raw = params.read(tmp_path / "new" / "params.yaml")
    raw["prior"]["weights"] = params.OWN
    with pytest.raises(StudyError, match=r"prior\.weights: expected a file of `protoviz train-prior FOLDER"):
        studies.parse(raw, "params.yaml")


def test_how_images_were_normalised_has_to_be_said(trained, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(trained)
    with pytest.raises(SystemExit):
        command("init", tmp_path / "new", "--model", "net.py:Net", "--checkpoints", PATTERN)
    assert "give --mean and --std" in capsys.readouterr().err


@pytest.mark.parametrize("pretrained", [False, True])
def test_checkpoints_that_our_callback_wrote_say_how_they_began(monkeypatch, capsys, tmp_path, pretrained):
    """From a training to the study, without --untrained; with it, weights of another training are refused."""
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(CODE)
    space = {}
    exec(CODE, space)
    network = space["Net"]()
    keep = Checkpoints("kept", "plain", 1, max_epochs=2, pretrained=pretrained)
    keep(network, 0)
    optimiser = torch.optim.SGD(network.parameters(), 0.1)
    for epoch in (1, 2):
        optimiser.zero_grad()
        network(torch.rand(4, 3, 24, 24)).square().mean().backward()
        optimiser.step()
        keep(network, epoch)
    begin = ("init", "study", "--model", "net.py:Net", "--checkpoints", keep.pattern, "--size", 24, *COLOURS)
    if pretrained:
        with pytest.raises(SystemExit):
            command(*begin, "--untrained")
        assert "one that was trained before, as the file says of itself" in capsys.readouterr().err
    command(*begin)
    said = "a network that was trained before" if pretrained else "the untrained network"
    assert f"epoch 0     {said}, as its files say\n" in capsys.readouterr().out
    monkeypatch.chdir("study")
    read = studies.parse(params.read("params.yaml"), "params.yaml")
    assert read.starts_untrained is not pretrained
    short = {"repeats": 1, "ascent": read.synthesis.ascent.model_copy(update={"steps": 1})}
    read = read.model_copy(update={"synthesis": read.synthesis.model_copy(update=short)})
    importing.main(read, "plain", 1)
    synthesize.main(read, "plain", 1)
    cube = xr.open_zarr(layout.prototypes("plain", 1), chunks=None)
    assert cube.checkpoint.values[0] == ("epoch 0" if pretrained else "untrained")


@pytest.mark.parametrize("arguments", [("train", "plain", "1"), ("reference",)])
def test_a_stage_that_is_no_part_of_the_study_says_so(study, monkeypatch, capsys, arguments):
    monkeypatch.chdir(study)
    monkeypatch.setattr("sys.argv", list(arguments))
    with pytest.raises(SystemExit):
        stages.run_stage({"train": train, "reference": reference}[arguments[0]].main)
    said = capsys.readouterr().err
    assert "expected a study whose networks are trained, found params.yaml with `checkpoints`" in said
    assert "leave this stage out of dvc.yaml" in said


def test_our_own_checkpoints_give_the_same_store_by_either_way(tmp_path, monkeypatch):
    """A plain series of state dicts of the study's own networks, imported, gives the same bytes."""
    monkeypatch.chdir(tmp_path)
    whole = params.load(ROOT / "params.yaml")
    short = whole.synthesis.ascent.model_copy(update={"steps": 2})
    recipe = whole.synthesis.model_copy(
        update={"ascent": short, "repeats": 1, "start": whole.synthesis.start.model_copy(update={"pool": 0})}
    )
    train = whole.train.model_copy(update={"keep": [0, 1]})
    prior = params.Prior(name="fourier", weights=None, sha256=None)
    ours = whole.model_copy(update={"train": train, "synthesis": recipe, "prior": prior})
    layout.PRIOR.parent.mkdir(parents=True)
    files.write_json(layout.PRIOR, {"name": "fourier", "sha256": None})
    first = checkpoints.weights_digest(resnet.initial("resnet18", 4, 0))
    for epoch in (0, 1):
        network = resnet.initial("resnet18", 4, epoch)
        identity = checkpoints.Checkpoint("clrjit", 1, epoch, "resnet18", 4, first)
        target = checkpoints.path(layout.checkpoints("clrjit", 1), epoch)
        target.parent.mkdir(parents=True, exist_ok=True)
        checkpoints.save(target, network, identity)
        torch.save(network.state_dict(), f"plain-{epoch}.pt")
    synthesize.main(ours, "clrjit", 1)
    kept = tmp_path / "kept"
    shutil.copytree(layout.prototypes("clrjit", 1), kept)
    raw = whole.model_dump(mode="json")
    series = studies.parse(
        {
            **{name: raw[name] for name in ("title", "compute", "receptive_fields", "figures", "atlas")},
            **{name: raw[name] for name in ("matching", "modes")},
            "checkpoints": {
                "network": "protoviz:resnet18",
                "arguments": {"width": 4},
                "files": "plain-{epoch}.pt",
                "key": None,
                "prefix": None,
                "epochs": [0, 1],
                "starts_untrained": True,
                "layers": ["layer1", "layer2", "layer3", "layer4"],
                "channels": None,
                "size": whole.images.size,
                "mean": list(resnet.IMAGENET_MEAN),
                "std": list(resnet.IMAGENET_STD),
            },
            "conditions": {"clrjit": {}},
            "runs": [1],
            "images": None,
            "natural": None,
            "probe": None,
            "projection": {
                **{name: raw["projection"][name] for name in Maps.model_fields},
                "embedders": ["pixels"],
            },
            "prior": prior.model_dump(),
            "synthesis": recipe.model_dump(mode="json"),
            "distances": {**raw["distances"], "embedders": ["pixels"]},
        },
        "series",
    )
    shutil.rmtree(layout.checkpoints("clrjit", 1))
    shutil.rmtree(layout.prototypes("clrjit", 1))
    importing.main(series, "clrjit", 1)
    synthesize.main(series, "clrjit", 1)

    def bytes_of(folder):
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    assert bytes_of(layout.prototypes("clrjit", 1)) == bytes_of(kept)


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("resnet10t", {}, ["layer1", "layer2", "layer3", "layer4"]),
        ("vit_tiny_patch16_224", {"img_size": 32, "depth": 3}, ["blocks.0", "blocks.1", "blocks.2"]),
        ("convnext_atto", {}, ["stages.0", "stages.1", "stages.2", "stages.3"]),
        ("efficientnet_lite0", {}, [f"blocks.{at}" for at in range(7)]),
    ],
)
def test_layers_are_the_outputs_of_blocks(name, arguments, expected):
    module = timm.create_model(name, pretrained=False, **arguments)
    assert analysed.blocks(Network(module, arguments.get("img_size", 64)), module) == expected


GREY = """
from torch import nn

def grey():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.ReLU())
"""


def test_images_of_one_channel_and_other_sides(tmp_path, monkeypatch):
    """From `init` to the atlas, as for squares of RGB."""
    monkeypatch.chdir(tmp_path)
    Path("grey.py").write_text(GREY)
    space = {}
    exec(GREY, space)
    torch.manual_seed(0)
    torch.save(space["grey"]().state_dict(), "3.pt")
    colours = ("--mean", "0.1", "--std", "0.3")
    command(
        "init", "study", "--model", "grey.py:grey", "--checkpoints", "{epoch}.pt", "--size", "12x18", *colours
    )
    shortened(tmp_path / "study")
    monkeypatch.chdir(tmp_path / "study")
    read = studies.parse(params.read("params.yaml"), "params.yaml")
    assert (read.size, list(read.conditions), read.runs, read.epochs) == ((12, 18), ["network"], [0], [3])
    for stage in (importing, receptive_fields, synthesize, distances, appearance):
        stage.main(read, "network", 0)
    cube.main(read)
    metrics.main(read, "network")
    for stage in (findings, figures, atlas):
        stage.main(read)
    found = xr.open_zarr(layout.CUBE, chunks=None)
    assert found.image.shape[-3:] == (12, 18, 1)
    assert (found.activation > 0).any()
