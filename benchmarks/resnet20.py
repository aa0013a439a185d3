"""The CIFAR-10 ResNet-20 of He et al. 2015 (arXiv:1512.03385), section 4.2, for weights that others trained.

    python -m benchmarks.priors photographs.tar --judge benchmarks/resnet20.py:cifar10 --state resnet20.th

Shortcuts are of kind A: every second pixel, zeros in the place of channels that are not there.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    """Two convolutions and a shortcut; (B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride, self.added = stride, outputs - inputs
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """See above."""
        short = x[:, :, :: self.stride, :: self.stride]
        if self.added:
            short = functional.pad(short, (0, 0, 0, 0, self.added // 2, self.added - self.added // 2))
        return torch.relu(self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))) + short)


class ResNet20(nn.Module):
    """Images (B, 3, 32, 32), normalised as ImageNet's, to logits (B, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*(Block(16, 16, 1) for _ in range(3)))
        self.layer2 = nn.Sequential(Block(16, 32, 2), Block(32, 32, 1), Block(32, 32, 1))
        self.layer3 = nn.Sequential(Block(32, 64, 2), Block(64, 64, 1), Block(64, 64, 1))
        self.linear = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """See above."""
        x = self.layer3(self.layer2(self.layer1(torch.relu(self.bn1(self.conv1(x))))))
        logits: Tensor = self.linear(x.mean((2, 3)))
        return logits


def cifar10() -> ResNet20:
    """With fresh weights."""
    return ResNet20().eval()
