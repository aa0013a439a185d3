"""The ResNet18 that is written out here is torchvision's, and folding changes nothing but rounding."""

import pytest
import torch
import torchvision
from torch import nn

from protoviz.errors import StudyError
from protoviz.models import resnet


def perturbed(network: nn.Module) -> nn.Module:
    """The network with running statistics as after training, so that batch normalisation matters."""
    draws = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.running_var, module.weight.data, module.bias.data):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=draws))
    return network.eval()


@pytest.fixture
def network() -> resnet.ResNet18:
    return perturbed(resnet.initial("resnet18", 8, 3))


def test_equals_torchvision_resnet18_with_the_same_weights():
    ours = perturbed(resnet.initial("resnet18", 64, 0))
    theirs = torchvision.models.resnet18()
    theirs.fc = nn.Identity()
    assert ours.load_state_dict(theirs.state_dict()) == theirs.load_state_dict(ours.state_dict())
    images = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(images), theirs.eval()(images), rtol=0, atol=0)


def test_pre_activation_is_what_enters_the_last_relu_of_the_layer(network):
    images = torch.randn(2, 3, 48, 48)
    for layer, maps in network.pre_activations(images):
        torch.testing.assert_close(maps, network.pre_activation(images, layer))
        assert maps.shape[1] == network.units[layer]
        assert (maps < 0).any()
    torch.testing.assert_close(maps.relu().mean((2, 3)), network.features(images))
    torch.testing.assert_close(network(images), network.features(images), rtol=0, atol=0)


def test_nothing_past_the_layer_is_run(network):
    network.layer3 = nn.Sequential()  # would fail if it were run
    network.pre_activation(torch.randn(1, 3, 48, 48), "layer2")


def test_units_are_the_paper_s_at_full_width():
    assert list(resnet.build("resnet18", 64).units.values()) == [64, 128, 256, 512]


def test_initial_weights_depend_on_the_seed_alone():
    first = resnet.initial("resnet18", 4, 1).conv1.weight
    state = torch.random.get_rng_state()
    torch.rand(5)
    again = resnet.initial("resnet18", 4, 1).conv1.weight
    assert torch.equal(first, again)
    assert not torch.equal(first, resnet.initial("resnet18", 4, 2).conv1.weight)
    torch.random.set_rng_state(state)
    resnet.initial("resnet18", 4, 1)
    assert torch.equal(torch.random.get_rng_state(), state), "the global generator is as it was"


def test_folding_agrees_to_rounding_and_leaves_the_network_alone(network):
    images = torch.randn(2, 3, 48, 48)
    before = [tensor.clone() for tensor in network.state_dict().values()]
    folded = resnet.fold_batch_norm(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    for layer, maps in network.pre_activations(images):
        torch.testing.assert_close(folded.pre_activation(images, layer), maps, rtol=1e-4, atol=1e-4)
    assert all(torch.equal(a, b) for a, b in zip(before, network.state_dict().values(), strict=True))


def test_normalise_is_imagenet_s():
    grey = torch.full((1, 3, 2, 2), 0.5)
    expected = torch.tensor([(0.5 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, (0.5 - 0.406) / 0.225])
    torch.testing.assert_close(resnet.normalise(grey)[0, :, 0, 0], expected)


def test_unknown_names_are_refused_and_the_known_ones_listed(network):
    with pytest.raises(StudyError, match="expected one of resnet18"):
        resnet.build("resnet81", 8)
    with pytest.raises(StudyError, match="one of layer1, layer2, layer3, layer4"):
        network.pre_activation(torch.zeros(1, 3, 48, 48), "layer5")
