"""Any network as a graph of operations, and the values of its layers before and after non-linearities.

The graph comes from torch.fx, which runs the network's own Python once on symbols. Unlike hooks, it shows
which value enters a layer's last non-linearity, and which part of a map a unit depends on.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from protoviz.models.readout.calls import Counted

SHAPE = "shape"  # of the value of a node, in its `meta`, for the example, so with its batch

ACTIVATION_MODULES = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish),
    *(nn.Hardswish, nn.Hardsigmoid, nn.Hardtanh, nn.Sigmoid, nn.Tanh, nn.Softplus),
)
ACTIVATION_FUNCTIONS: tuple[Callable[..., Any], ...] = (
    *(functional.relu, functional.relu6, functional.leaky_relu, functional.elu, functional.selu),
    *(functional.gelu, functional.silu, functional.mish, functional.hardswish, functional.hardsigmoid),
    *(functional.hardtanh, functional.celu, functional.softplus, torch.prelu),
    *(torch.relu, torch.sigmoid, torch.tanh),
)
ACTIVATION_METHODS = ("relu", "sigmoid", "tanh")
PASSING_MODULES = (nn.Identity, nn.Dropout, nn.Dropout2d)  # in evaluation mode they change nothing

# What may lie between a value and its non-linearity.
_BETWEEN_MODULES = (*PASSING_MODULES, nn.BatchNorm2d, nn.BatchNorm1d)
_BETWEEN_FUNCTIONS = (functional.batch_norm, functional.dropout)

# What uses only the shape of a value.
_SHAPE_ATTRIBUTES, _SHAPE_METHODS = ("shape", "ndim", "dtype", "device"), ("size", "dim")


class _Tracer(fx.Tracer):
    """Remembers the node of the value that each call of a module returned."""

    def __init__(self) -> None:
        super().__init__()
        self.results: dict[str, fx.Node] = {}
        self.counted = Counted()

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether it is a module of torch, or a class derived from one that only builds it differently."""
        alike = type(m).forward.__module__.startswith("torch.nn") and not any(True for _ in m.children())
        return alike or super().is_leaf_module(m, module_qualified_name)

    def create_args_for_root(
        self, root_fn: Callable[..., Any], is_module: bool, concrete_args: Any = None
    ) -> tuple[Callable[..., Any], list[Any]]:
        """Symbols for the images only: other arguments of the network keep their defaults."""

        def forward(module: nn.Module, images: Any) -> Any:
            return root_fn(module, images)

        return super().create_args_for_root(forward, is_module, concrete_args)

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        result = super().call_module(m, forward, args, kwargs)
        name = self.counted(self.path_of_module(m))
        if isinstance(result, fx.Proxy):
            self.results[name] = result.node
        return result


class _Shapes(fx.Interpreter):
    """Writes the shape of every value into its node."""

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if isinstance(value, Tensor):
            n.meta[SHAPE] = tuple(value.shape)
        return value


@dataclass(frozen=True)
class Traced:
    """A network and its graph.

    Attributes:
        module: the network, frozen, in evaluation mode, with no operations in place.
        graph: its operations; the nodes know the shape of their value.
        results: layer -> the node of its output; its name is that of a call (see `calls`).
    """

    module: nn.Module
    graph: fx.Graph
    results: dict[str, fx.Node]

    @property
    def elements(self) -> int:
        """Numbers in all values of the graph, for one image."""
        return sum(prod(node.meta[SHAPE][1:]) for node in self.graph.nodes if SHAPE in node.meta)

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
        while len(readers := _readers(following)) == 1:
            following = readers[0]
            if self.is_activation(following):
                return following
            function = following.op == "call_function" and following.target in _BETWEEN_FUNCTIONS
            if not function and not self._is(following, _BETWEEN_MODULES):
                break
        return node

    def nodes(self, layers: Mapping[str, bool]) -> dict[tuple[str, str], fx.Node]:
        """The value that is read of each layer, "pre" and "post" its non-linearity, channels first.

        `layers`: name -> whether its map is (B, H, W, C).
        """
        found = {(name, "pre"): self.before(name) for name in layers}
        found |= {(name, "post"): self.after(name) for name in layers}
        return {key: self.channels_first(node) if layers[key[0]] else node for key, node in found.items()}

    def until(self, node: fx.Node, module: nn.Module) -> fx.GraphModule:
        """The network up to a node: its own operations in order, only those that the node needs.

        Args:
            node: whose value it gives.
            module: holds the weights; the network or a copy of it.
        """
        needed = {node}
        for other in reversed(self.graph.nodes):
            if other in needed:
                needed.update(other.all_input_nodes)
        graph, made = fx.Graph(), dict[fx.Node, fx.Node]()
        for other in self.graph.nodes:
            if other in needed or other.op == "placeholder":
                made[other] = graph.node_copy(other, made.__getitem__)
        graph.output(made[node])
        return fx.GraphModule(module, graph)

    def channels_first(self, node: fx.Node) -> fx.Node:
        """A map (B, H, W, C) as (B, C, H, W), by an operation at the end of the graph."""
        batch, height, width, channels = node.meta[SHAPE]
        output = next(reversed(self.graph.nodes))
        with self.graph.inserting_before(output):
            turned = self.graph.call_method("permute", (node, 0, 3, 1, 2))
        turned.meta[SHAPE] = batch, channels, height, width
        return turned

    def _behind_passing(self, node: fx.Node) -> fx.Node:
        while self._is(node, PASSING_MODULES):
            node = node.all_input_nodes[0]
        return node

    def _is(self, node: fx.Node, types: tuple[type[nn.Module], ...]) -> bool:
        return node.op == "call_module" and isinstance(self.find(node), types)


def trace(module: nn.Module, example: Tensor) -> Traced | None:
    """The graph of a frozen module, or None if its Python depends on values.

    Nothing in the graph works in place: a value may be read again after its non-linearity, or be part of a
    larger one. A network that computes something else without its operations in place has no graph.

    Args:
        module: frozen; it is not copied, and its modules are no longer in place if it has a graph.
        example: a batch of its inputs, from which the shapes come.
    """
    in_place = [part for part in module.modules() if getattr(part, "inplace", False)]
    tracer = _Tracer()
    try:
        with torch.no_grad():
            plain = module(example.clone())
            graph = tracer.trace(module)
            for node in graph.nodes:
                _work_out_of_place(node)
            _set_in_place(in_place, False)
            same = _agree(_Shapes(fx.GraphModule(module, graph)).run(example), plain)
    except Exception:  # whatever a network's own code may raise when it is run on symbols
        same = False
    if not same:
        _set_in_place(in_place, True)
        return None
    return Traced(module, graph, tracer.results)


def _set_in_place(modules: list[nn.Module], value: bool) -> None:
    for module in modules:
        module.inplace = value  # type: ignore[assignment]


def _work_out_of_place(node: fx.Node) -> None:
    """Make an operation that overwrites its input give a new value.

    Raises:
        NotImplementedError: there is no such operation.
    """
    if node.kwargs.get("inplace"):
        node.kwargs = {**node.kwargs, "inplace": False}
    name = node.target if node.op == "call_method" else getattr(node.target, "__name__", "")
    ours = node.op == "call_method" or getattr(node.target, "__module__", None) != operator.__name__
    if node.op in ("call_function", "call_method") and ours and is_in_place(str(name)):
        places = (Tensor,) if node.op == "call_method" else (functional, torch)
        plain = str(name).removesuffix("_")
        found = next((getattr(place, plain) for place in places if hasattr(place, plain)), None)
        if not callable(found):
            raise NotImplementedError(f"{name} out of place")
        node.target = plain if node.op == "call_method" else found
    if node.kwargs.get("out") is not None:
        raise NotImplementedError(f"{name} into a given tensor")


def is_in_place(function: str) -> bool:
    """Whether a function of this name overwrites its input, as torch names them."""
    return function.endswith("_") and not function.endswith("__")


def _readers(node: fx.Node) -> list[fx.Node]:
    """The nodes that use a node's values."""
    return [user for user in node.users if not _reads_shape(user)]


def _reads_shape(node: fx.Node) -> bool:
    if node.op == "call_method":
        return node.target in _SHAPE_METHODS
    if node.op != "call_function":
        return False
    return node.target is len or (node.target is getattr and node.args[1] in _SHAPE_ATTRIBUTES)


def _agree(traced: Any, plain: Any) -> bool:
    """Whether two results of a network are the same tensors."""
    if isinstance(plain, Tensor):
        return isinstance(traced, Tensor) and torch.allclose(traced, plain, equal_nan=True, atol=1e-5)
    if isinstance(plain, tuple | list):
        return len(traced) == len(plain) and all(map(_agree, traced, plain))
    if isinstance(plain, Mapping):
        return traced.keys() == plain.keys() and all(_agree(traced[key], plain[key]) for key in plain)
    return True
