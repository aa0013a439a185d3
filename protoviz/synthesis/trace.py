"""Any network as a graph of operations: its layers, and their values before and after non-linearities.

The graph comes from torch.fx, which runs the network's own Python once on symbols. It shows what hooks
cannot: which value enters a layer's last non-linearity, and which part of a map a unit depends on.
"""

import copy
import operator
from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt, prod
from typing import Any, Literal

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from protoviz.errors import StudyError

Kind = Literal["map", "vector", "tokens"]

SHAPE = "shape"  # of the value of a node, without the batch, in its `meta`

ACTIVATION_MODULES = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish),
    *(nn.Hardswish, nn.Hardsigmoid, nn.Hardtanh, nn.Sigmoid, nn.Tanh, nn.Softplus),
)
ACTIVATION_FUNCTIONS: tuple[Callable[..., Any], ...] = (
    *(functional.relu, functional.relu6, functional.leaky_relu, functional.elu, functional.selu),
    *(functional.gelu, functional.silu, functional.mish, functional.hardswish, functional.hardsigmoid),
    *(torch.relu, torch.sigmoid, torch.tanh),
)
ACTIVATION_METHODS = ("relu", "sigmoid", "tanh")
PASSING_MODULES = (nn.Identity, nn.Dropout, nn.Dropout2d)  # in evaluation mode they change nothing

# Out of place: a value may be read again after its non-linearity, or be part of a larger one.
_OUT_OF_PLACE = {operator.iadd: operator.add, operator.imul: operator.mul, torch.relu_: torch.relu}


@dataclass(frozen=True)
class Layer:
    """A module whose channels are units.

    Attributes:
        name: its path in the network ("layer3.1.conv2").
        type: its class ("Conv2d").
        kind: "map" (B, C, H, W), "tokens" (B, T, C) or "vector" (B, C).
        channels: C.
        shape: (H, W), (T,) or ().
        weighted: whether it is a convolution or linear layer, or made of several modules.
    """

    name: str
    type: str
    kind: Kind
    channels: int
    shape: tuple[int, ...]
    weighted: bool


class _Tracer(fx.Tracer):
    """Remembers the node of what each module returned."""

    def __init__(self) -> None:
        super().__init__()
        self.results: dict[str, fx.Node | None] = {}

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        result = super().call_module(m, forward, args, kwargs)
        name = self.path_of_module(m)
        once = name not in self.results and isinstance(result, fx.Proxy)
        self.results[name] = result.node if once else None
        return result


class _Shapes(fx.Interpreter):
    """Writes the shape of every value into its node."""

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if isinstance(value, Tensor):
            n.meta[SHAPE] = tuple(value.shape[1:])
        return value


@dataclass(frozen=True)
class Traced:
    """A network and its graph.

    Attributes:
        module: the network, frozen, evaluation mode, nothing in place.
        graph: of its operations; the nodes know the shape of their value.
        results: layer -> the node of its output.
    """

    module: nn.Module
    graph: fx.Graph
    results: dict[str, fx.Node]

    @property
    def elements(self) -> int:
        """Numbers in all values of the graph, for one image."""
        return sum(prod(node.meta.get(SHAPE, (0,))) for node in self.graph.nodes)

    def find(self, node: fx.Node) -> nn.Module:
        """The module that a node calls."""
        return self.module.get_submodule(str(node.target))

    def is_activation(self, node: fx.Node) -> bool:
        """Whether a node is an element-wise non-linearity."""
        if node.op == "call_module":
            return isinstance(self.find(node), ACTIVATION_MODULES)
        if node.op == "call_function":
            return node.target in ACTIVATION_FUNCTIONS
        return node.op == "call_method" and node.target in ACTIVATION_METHODS

    def before(self, layer: str) -> fx.Node:
        """The layer's value before its last non-linearity, if it ends in one; its value otherwise."""
        node = self._behind_passing(self.results[layer])
        return node.all_input_nodes[0] if self.is_activation(node) else self.results[layer]

    def after(self, layer: str) -> fx.Node:
        """The layer's value after its non-linearity, which may be a module of its own that follows it."""
        node = self.results[layer]
        if self.is_activation(self._behind_passing(node)):
            return node
        following = node
        while len(following.users) == 1:
            following = next(iter(following.users))
            if self.is_activation(following):
                return following
            if not self._is(following, (*PASSING_MODULES, nn.BatchNorm2d, nn.BatchNorm1d)):
                break
        return node

    def _behind_passing(self, node: fx.Node) -> fx.Node:
        while self._is(node, PASSING_MODULES):
            node = node.all_input_nodes[0]
        return node

    def _is(self, node: fx.Node, types: tuple[type[nn.Module], ...]) -> bool:
        return node.op == "call_module" and isinstance(self.find(node), types)


def frozen(module: nn.Module) -> nn.Module:
    """A copy in evaluation mode that learns nothing and overwrites nothing."""
    copied = copy.deepcopy(module).eval().requires_grad_(False)
    for part in copied.modules():
        if hasattr(part, "inplace"):
            part.inplace = False  # type: ignore[assignment]
    return copied


def trace(module: nn.Module, example: Tensor) -> Traced | None:
    """The graph of a frozen module, or None where its Python depends on values.

    Args:
        module: frozen; it is not copied.
        example: a batch of its inputs, from which the shapes come.
    """
    tracer = _Tracer()
    try:
        graph = tracer.trace(module)
        for node in graph.nodes:
            node.target = _OUT_OF_PLACE.get(node.target, node.target)
            if node.op == "call_method" and str(node.target) in ("relu_", "add_", "mul_", "sigmoid_"):
                node.target = str(node.target).removesuffix("_")
            if node.kwargs.get("inplace"):
                node.kwargs = {**node.kwargs, "inplace": False}
        with torch.no_grad():
            same = _agree(_Shapes(fx.GraphModule(module, graph)).run(example), module(example))
    except Exception:  # whatever a network's own code may raise when it is run on symbols
        return None
    results = {name: node for name, node in tracer.results.items() if node is not None and name}
    return Traced(module, graph, results) if same else None


def _agree(traced: Any, plain: Any) -> bool:
    """Whether two results of a network are the same tensors."""
    if isinstance(plain, Tensor):
        return isinstance(traced, Tensor) and torch.allclose(traced, plain, equal_nan=True, atol=1e-5)
    if isinstance(plain, tuple | list):
        return len(traced) == len(plain) and all(map(_agree, traced, plain))
    return True


def layer_of(name: str, module: nn.Module, shape: tuple[int, ...]) -> Layer | None:
    """What a module's output of this shape (without the batch) offers, or None if it has no channels."""
    kinds: dict[int, tuple[Kind, int, tuple[int, ...]]] = {}
    if len(shape) == 3:
        kinds[3] = ("map", shape[0], shape[1:])
    elif len(shape) == 2:
        kinds[2] = ("tokens", shape[1], shape[:1])
    elif len(shape) == 1:
        kinds[1] = ("vector", shape[0], ())
    if len(shape) not in kinds or isinstance(module, (*ACTIVATION_MODULES, *PASSING_MODULES)):
        return None
    kind, channels, extent = kinds[len(shape)]
    weighted = any(True for _ in module.children()) or isinstance(
        module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear
    )
    return Layer(name, type(module).__name__, kind, channels, extent, weighted)


def centre(layer: Layer) -> tuple[int, ...]:
    """The position that the paper reads (S6): ((H-1)//2, (W-1)//2); the same of a square of tokens.

    Tokens are a square of patches after those that are none (a class token): their number beyond the
    largest square.
    """
    if layer.kind == "map":
        return (layer.shape[0] - 1) // 2, (layer.shape[1] - 1) // 2
    if layer.kind == "tokens":
        side = isqrt(layer.shape[0])
        return (layer.shape[0] - side**2 + (side - 1) // 2 * side + (side - 1) // 2,)
    return ()


def require_position(layer: Layer, position: tuple[int, ...]) -> tuple[int, ...]:
    """A position that lies in the layer.

    Raises:
        StudyError: it does not.
    """
    inside = len(position) == len(layer.shape) and all(
        0 <= at < extent for at, extent in zip(position, layer.shape, strict=True)
    )
    if not inside:
        raise StudyError(
            f"position {position} in layer {layer.name!r}",
            expected=f"{len(layer.shape)} numbers below {layer.shape}",
            found=str(position),
            remedy="choose a position of its map, or 'centre'",
        )
    return position
