"""Networks of every kind, most of them small, and where in them the values of their layers pass."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torchvision
from torch import nn
from torchvision.models.vgg import make_layers

from protoviz.models import resnet
from tests.reference import readout
from tests.reference.readout import AFTER, BEFORE


class Case(NamedTuple):
    """A network.

    Attributes:
        make: of the image size.
        size: of the images, px.
        layers: name -> where its values before, and after, its non-linearity pass: a module and a side of
            it, or what computes them of (network, images).
    """

    make: Callable[[int], nn.Module]
    size: int
    layers: dict[str, tuple[Any, Any]]


def build(name):
    """The network of a name, with weights as after training."""
    case = NETWORKS[name]
    return drawn(lambda: case.make(case.size))


def drawn(make):
    """A network with the same weights each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return readout.prepared(make())


def places(name, activation):
    """Layer -> where its values pass, before ("pre") or after ("post") its non-linearity."""
    side = ("pre", "post").index(activation)
    return {layer: sides[side] for layer, sides in NETWORKS[name].layers.items()}


def resnet18(_size):
    return resnet.ResNet18(8)


def vgg(_size):
    """Torchvision's VGG, narrow: its own classifier has a hundred million weights."""
    with torch.device("meta"):
        network = torchvision.models.VGG(nn.Identity(), init_weights=False)
    network.features = make_layers([8, "M", 12, 12, "M", 16, "M"])
    network.classifier = nn.Sequential(nn.Linear(16 * 49, 20), nn.ReLU(True), nn.Dropout(), nn.Linear(20, 5))
    return network


def vit(size):
    return torchvision.models.VisionTransformer(size, 8, 2, 2, 16, 32, num_classes=6)


def swin(_size):
    return torchvision.models.SwinTransformer([4, 4], 12, [2, 2], [2, 2], [4, 4], num_classes=5)


def densenet(_size):
    return torchvision.models.DenseNet(8, (2, 3), 12)


def mobilenet(_size):
    return torchvision.models.MobileNetV2(width_mult=0.25)


def by_name(name):
    return lambda _size: torchvision.models.get_model(name, weights=None)


def seresnext50(_size):
    import timm

    return timm.create_model("seresnext50_32x4d", pretrained=False)


def own_pre(layer):
    return lambda network, images: network.pre_activation(images, layer)


def relu_of(module):
    return lambda network, images: readout.values(network, images, [(module, AFTER)])[0].relu()


def turned(module):
    """Maps of Swin are (B, H, W, C)."""
    return lambda network, images: readout.values(network, images, [(module, AFTER)])[0].permute(0, 3, 1, 2)


def alike(module):
    """A layer without a non-linearity of its own."""
    return (module, AFTER), (module, AFTER)


OWN = {
    "conv1": (("conv1", AFTER), ("maxpool", BEFORE)),
    "layer1.0.conv2": alike("layer1.0.conv2"),
    "layer2.0.downsample.1": alike("layer2.0.downsample.1"),
    **{layer: (own_pre(layer), (layer, AFTER)) for layer in ("layer1", "layer2", "layer3", "layer4")},
}
MLP = "encoder.layers.encoder_layer_0.mlp"
NETWORKS = {
    "resnet18 at 64": Case(resnet18, 64, OWN),
    **{
        f"resnet18 at {size}": Case(resnet18, size, {f"layer{k}": OWN[f"layer{k}"] for k in (1, 2, 3, 4)})
        for size in (33, 68, 96)
    },
    "torchvision resnet18": Case(
        by_name("resnet18"),
        48,
        {
            "conv1": (("conv1", AFTER), ("relu", AFTER)),
            "layer1": (("layer1.1.relu", BEFORE), ("layer1", AFTER)),
            "layer1.1.bn2": alike("layer1.1.bn2"),  # and then added to, in place
            "layer3.0.conv1": (("layer3.0.conv1", AFTER), ("layer3.0.conv2", BEFORE)),
            "layer4.1": (("layer4.1.relu", BEFORE), ("layer4.1", AFTER)),
            "fc": alike("fc"),
        },
    ),
    "vgg": Case(
        vgg,
        50,
        {
            "features.0": (("features.0", AFTER), ("features.1", AFTER)),
            "features.5": (("features.5", AFTER), ("features.6", AFTER)),
            "features.7": alike("features.7"),
            "classifier.0": (("classifier.0", AFTER), ("classifier.1", AFTER)),
            "classifier": alike("classifier.3"),
        },
    ),
    "densenet": Case(
        densenet,
        64,
        {
            "features.denseblock1": (("features.denseblock1", AFTER), ("features.transition1.relu", AFTER)),
            "features.denseblock2.denselayer2.conv1": (
                ("features.denseblock2.denselayer2.conv1", AFTER),
                ("features.denseblock2.denselayer2.relu2", AFTER),
            ),
            "features": (("features", AFTER), relu_of("features")),
        },
    ),
    "mobilenet_v2": Case(
        mobilenet,
        64,
        {
            "features.2.conv.0": (("features.2.conv.0.2", BEFORE), ("features.2.conv.0", AFTER)),
            "features.3.conv.1.0": (("features.3.conv.1.0", AFTER), ("features.3.conv.1.2", AFTER)),
            "features.4": alike("features.4"),
            "features.18": (("features.18.2", BEFORE), ("features.18", AFTER)),
        },
    ),
    "squeezenet, pooling with ceil_mode": Case(
        by_name("squeezenet1_1"),
        64,
        {
            "features.3.expand3x3": (
                ("features.3.expand3x3", AFTER),
                ("features.3.expand3x3_activation", AFTER),
            ),
            "features.5": alike("features.5"),
            "features.9": alike("features.9"),
        },
    ),
    "vision transformer": Case(
        vit,
        32,
        {
            "conv_proj": alike("conv_proj"),
            f"{MLP}.0": ((f"{MLP}.0", AFTER), (f"{MLP}.1", AFTER)),
            "encoder.layers.encoder_layer_1": alike("encoder.layers.encoder_layer_1"),
            "heads.head": alike("heads.head"),
        },
    ),
    "swin transformer": Case(
        swin,
        32,
        {
            "features.0": (turned("features.0"), turned("features.0")),
            "features.1.1": (turned("features.1.1"), turned("features.1.1")),
            "features.1.0.mlp.0": (turned("features.1.0.mlp.0"), turned("features.1.0.mlp.1")),
        },
    ),
    "seresnext50": Case(
        seresnext50,
        64,
        {
            "conv1": (("conv1", AFTER), ("maxpool", BEFORE)),
            "layer1.1": (("layer1.1.act3", BEFORE), ("layer1.1", AFTER)),
            "layer1.1.se.fc1": (("layer1.1.se.fc1", AFTER), ("layer1.1.se.fc2", BEFORE)),
            "layer2.0.conv2": (("layer2.0.conv2", AFTER), ("layer2.0.act2", AFTER)),
        },
    ),
    "vgg11": Case(
        by_name("vgg11"),
        96,
        {
            "features.3": (("features.3", AFTER), ("features.4", AFTER)),
            "features.18": (("features.18", AFTER), ("features.19", AFTER)),
            "classifier.3": (("classifier.3", AFTER), ("classifier.4", AFTER)),
        },
    ),
    "densenet121": Case(
        by_name("densenet121"),
        96,
        {
            "features.denseblock1": (("features.denseblock1", AFTER), ("features.transition1.relu", AFTER)),
            "features": (("features", AFTER), relu_of("features")),
            "classifier": alike("classifier"),
        },
    ),
}
LARGE = ("vgg11", "densenet121")
