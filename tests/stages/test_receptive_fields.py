"""The stage that maps receptive fields, on an untrained network."""

from pathlib import Path

import numpy as np
import pytest

from protoviz import layout
from protoviz.config import params
from protoviz.errors import StudyError
from protoviz.models import checkpoints, resnet
from protoviz.models.readout.network import Network
from protoviz.store import zarr_io
from protoviz.synthesis.receptive_fields.dataset import Method, receptive_fields
from protoviz.synthesis.receptive_fields.gradients import Estimator
from stages.receptive_fields import main

ASKED = {
    "default": {"noise": 3, "probes": 2},
    "paper": {"estimate": "paper", "noise": 3, "probes": 1, "offset": "kept"},
    "units": {"noise": 2, "probes": 1, "per_unit": True},
}


@pytest.fixture(params=ASKED)
def asked(request):
    return ASKED[request.param]


@pytest.fixture
def study(tmp_path, monkeypatch, asked):
    read = params.load(Path(__file__).parents[2] / "params.yaml")
    monkeypatch.chdir(tmp_path)
    return read.model_copy(
        update={
            "images": read.images.model_copy(update={"size": 32}),
            "train": read.train.model_copy(update={"keep": [0, 3]}),
            "receptive_fields": read.receptive_fields.model_copy(update=asked),
        }
    )


def test_fields_of_all_kept_epochs(study, asked):
    networks = [(epoch, resnet.initial("resnet18", 4, seed=epoch)) for epoch in (0, 3)]
    for epoch, network in networks:
        identity = checkpoints.Checkpoint("clrjit", 1, epoch, "resnet18", 4, initial_weights="")
        checkpoints.save(checkpoints.path(layout.checkpoints("clrjit", 1), epoch), network, identity)
    main(study, "clrjit", 1)
    found = zarr_io.open_dataset(layout.receptive_fields("clrjit", 1))
    read = [(epoch, Network(network.eval(), 32)) for epoch, network in networks]
    how = Method(
        Estimator(asked.get("estimate", "as-written"), asked["noise"], asked["probes"]),
        study.synthesis.objective,
        per_unit=asked.get("per_unit", False),
        keep_offset=asked.get("offset") == "kept",
    )
    expected = receptive_fields(read, "clrjit", 1, layers=list(networks[0][1].units), method=how)
    for name, values in expected.data_vars.items():
        np.testing.assert_array_equal(found[name], values)


def test_missing_checkpoint_is_named(study):
    with pytest.raises(
        StudyError, match=r"epoch_0000\.safetensors: expected a file made by an earlier stage"
    ):
        main(study, "clrjit", 1)
    assert not layout.receptive_fields("clrjit", 1).exists()
