"""Gradients of strided depthwise convolutions: float32's, where the network computes in bfloat16."""

from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from timm.layers import Conv2dSame
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from protoviz.config import synthesis
from protoviz.models.priors import fourier
from protoviz.models.readout import depthwise
from protoviz.models.readout.network import Network
from protoviz.store.cube import Address
from protoviz.synthesis import diversity, search

CPU = torch.device("cpu")
CONVOLUTIONS: dict[str, Callable[[], nn.Module]] = {
    "depthwise": lambda: nn.Conv2d(6, 6, 3, stride=2, padding=1, groups=6),
    "of sides": lambda: nn.Conv2d(6, 6, (3, 5), stride=(1, 2), padding=(0, 2), dilation=(2, 1), groups=6),
    "without bias": lambda: nn.Conv2d(6, 6, 3, stride=2, groups=6, bias=False),
    "two of each": lambda: nn.Conv2d(6, 12, 3, stride=2, groups=6),
    "as in TensorFlow": lambda: Conv2dSame(6, 6, 3, stride=2, groups=6),
    "by name": lambda: _ByName(),
}


class _ByName(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 1, 3, 3))

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.conv2d(input=images, weight=self.weight, stride=2, padding=1, groups=6)


class _Seen(TorchDispatchMode):
    """The convolutions whose gradients are computed: dtype, and whether it is a strided depthwise one."""

    def __init__(self) -> None:
        super().__init__()
        self.gradients: list[tuple[torch.dtype, bool]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.convolution_backward.default:
            gradient, images, _, _, stride = args[:5]
            self.gradients.append((gradient.dtype, max(stride) > 1 and args[9] == images.shape[1]))
        return func(*args, **(kwargs or {}))


def gradient(module: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Of the sum of squares of what a module makes of images; and what it makes."""
    leaf = images.clone().requires_grad_()
    made = module(leaf)
    (found,) = torch.autograd.grad(made.float().pow(2).sum(), leaf)
    return found, made.detach()


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_values_stay_and_gradients_are_those_of_float32(name: str) -> None:
    module = CONVOLUTIONS[name]().requires_grad_(False)
    images = torch.randn(4, 6, 11, 13).bfloat16().float()
    for parameter in module.parameters():
        parameter.copy_(parameter.bfloat16().float())
    exact, _ = gradient(module, images)
    module, images = module.bfloat16(), images.bfloat16()
    plain, values = gradient(module, images)
    with depthwise.gradients_in_float32(torch.bfloat16, CPU), _Seen() as seen:
        ours, same = gradient(module, images)
    assert seen.gradients == [(torch.float32, True)]
    assert torch.equal(values, same)
    assert ours.dtype == torch.bfloat16
    scale = exact.abs().max()
    assert float((ours.float() - exact).abs().max() / scale) < 0.02
    assert float((ours.float() - exact).norm()) <= 1.01 * float((plain.float() - exact).norm())


@pytest.mark.parametrize(
    "module",
    [
        nn.Conv2d(6, 6, 3, groups=6),
        nn.Conv2d(6, 6, 3, stride=2),
        nn.Conv2d(6, 6, 3, stride=2, groups=3),
        nn.Conv2d(6, 6, 3, stride=1, padding="same", groups=6),
    ],
)
def test_other_convolutions_are_left_alone(module: nn.Module) -> None:
    module = module.requires_grad_(False).bfloat16()
    images = torch.randn(4, 6, 11, 13).bfloat16()
    plain, _ = gradient(module, images)
    with depthwise.gradients_in_float32(torch.bfloat16, CPU), _Seen() as seen:
        ours, _ = gradient(module, images)
    assert [dtype for dtype, _ in seen.gradients] == [torch.bfloat16]
    assert torch.equal(ours, plain)


def test_networks_in_float32_are_left_alone() -> None:
    module = CONVOLUTIONS["depthwise"]().requires_grad_(False)
    images = torch.randn(4, 6, 11, 13)
    plain, _ = gradient(module, images)
    with depthwise.gradients_in_float32(torch.float32, CPU):
        ours, _ = gradient(module, images)
    assert torch.equal(ours, plain)


def mobile() -> nn.Module:
    """As in networks for telephones, with a graph that is known."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU6(),
        nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8),
        nn.ReLU6(),
        nn.Conv2d(8, 4, 1),
    )


@pytest.mark.parametrize("traced", [True, False])
@pytest.mark.parametrize("together", [False, True])
def test_searches_use_them(traced: bool, together: bool) -> None:
    module = mobile() if traced else timm.create_model("tf_efficientnet_lite0", num_classes=2)
    layer = "4" if traced else "blocks.1.1.conv_pw"
    network = Network(module.eval(), 32)
    assert network.is_traced == traced
    prior = fourier.Fourier(32)
    recipe = synthesis.changed("fourier", {"precision": "bfloat16", "ascent": {"steps": 2}})
    with _Seen() as seen:
        if together:
            diversity.diverse(
                network,
                {layer: [0, 1]},
                prior,
                recipe,
                count=2,
                weight=0.5,
                address=("a", 1, 0),
                device=CPU,
            )
        else:
            address = Address("a", 1, 0, 0)
            search.prototypes(network, {layer: [0, 1]}, prior, recipe, address=address, device=CPU)
    kinds = set(seen.gradients)
    assert (torch.float32, True) in kinds
    assert (torch.bfloat16, True) not in kinds
