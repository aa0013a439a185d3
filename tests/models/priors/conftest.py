"""A weight file of the full-size generator of DeePSim, made once."""

import pytest
import torch

from protoviz.models.priors import deepsim


@pytest.fixture(scope="session")
def deepsim_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("deepsim") / "upconvGAN_fc6.pt"
    torch.save(deepsim.build(0).state_dict(), path)
    yield path
    path.unlink()  # 224 MB


@pytest.fixture(scope="session")
def random_deepsim(deepsim_file):
    return deepsim.load(deepsim_file)
