"""Networks inside of others that only run them, and weights that are computed at every call."""

import copy

import pytest
import torch
from torch import distributed, nn
from torch.nn.utils import parametrizations
from torch.optim.swa_utils import AveragedModel

from protoviz.config.synthesis import Objective
from protoviz.models.readout.network import Network
from protoviz.models.readout.wrappers import frozen
from tests.reference import networks


def plain():
    block = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(block, nn.ReLU()))


@pytest.fixture(scope="module")
def alone():
    """A process group of this process."""
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


WRAPPERS = {
    "DataParallel": nn.DataParallel,
    "DistributedDataParallel": nn.parallel.DistributedDataParallel,
    "torch.compile": torch.compile,
    "AveragedModel": AveragedModel,
    "compiled and distributed": lambda module: torch.compile(nn.parallel.DistributedDataParallel(module)),
}


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
@pytest.mark.parametrize("inside", ["whole", "part", "both"])
def test_layers_go_by_their_inner_names(wrap, inside):
    expected = networks.drawn(plain).requires_grad_(True)
    network = copy.deepcopy(expected)
    if inside in ("part", "both"):
        network[1][0] = wrap(network[1][0])
    if inside in ("whole", "both"):
        network = wrap(network)
    found = Network(network, 12)
    assert found.is_traced
    assert list(found.layers) == list(Network(expected, 12).layers)
    how = ["1.0"], Objective(position="mean", activation="post"), torch.float32, torch.device("cpu")
    images = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    assert torch.equal(
        found.columns(*how)[0](images)["1.0"], Network(expected, 12).columns(*how)[0](images)["1.0"]
    )


def old_weight_norm(module, **how):
    with pytest.warns(FutureWarning, match="weight_norm"):
        return nn.utils.weight_norm(module, **how)


def test_old_weight_norm_is_taken_off_in_the_copy():
    network = nn.Sequential(
        old_weight_norm(nn.Conv2d(3, 4, 3)), nn.ReLU(), old_weight_norm(nn.Conv2d(4, 5, 3), dim=None)
    )
    network[0].weight_g.data *= 3
    images = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    expected = network(images)
    made = frozen(network)
    torch.testing.assert_close(made(images), expected.detach())
    assert not made[0]._forward_pre_hooks
    assert isinstance(made[0].weight, nn.Parameter)
    assert network[0]._forward_pre_hooks, "the network itself keeps it"
    assert network[0].weight.requires_grad
    read = Network(network, 9)
    assert read.layers["0"].type == "Conv2d"
    how = ["2"], Objective(position="mean", activation="pre"), torch.float32, torch.device("cpu")
    torch.testing.assert_close(read.columns(*how)[0](images)["2"], expected.detach().mean((2, 3)))


@pytest.mark.parametrize(
    "norm", [nn.utils.spectral_norm, parametrizations.weight_norm, parametrizations.spectral_norm]
)
def test_other_weights_that_are_computed_stay_as_they_are(norm):
    network = nn.Sequential(norm(nn.Conv2d(3, 4, 3)), nn.ReLU())
    images = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    network(images)  # in training mode: the weight is computed, which torch alone refuses to copy
    network.eval()
    torch.testing.assert_close(frozen(network)(images), network(images).detach())


def test_a_value_that_a_network_keeps_is_copied_as_it_is():
    class Keeping(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, images):
            self.last = self.conv(images)
            return self.last

    network = Keeping()
    network(torch.randn(2, 3, 9, 9))
    assert torch.equal(frozen(network).last, network.last.detach())
