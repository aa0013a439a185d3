"""A frozen network prepared for read-out: its layers, and the responses of its units to images."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace

import torch
from torch import Tensor, nn

from protoviz.config.image_size import Size, checked, sides
from protoviz.config.synthesis import Objective
from protoviz.errors import StudyError
from protoviz.models.readout import calls, checks, crop, hooks, layers, operations, readout, repeatable, trace
from protoviz.models.readout.along import HookedAlong, traced_along
from protoviz.models.readout.layers import Layer
from protoviz.models.readout.readout import Readout
from protoviz.models.readout.windows import Window, whole


class Network:
    """A network whose units can be driven.

    Args:
        module: maps normalised images (B, C, H, W) to anything; it is copied, not changed. Wrappers that run
            it on several devices, compile or average it are removed, also those of its parts.
        size: height and width of its images, px: a number for squares, or (H, W).
        mean, std: of values in [0, 1], a number for each of the C channels, the normalisation it was trained
            with. By default C is what the first convolution takes, 3 if there is none or the network
            takes RGB; mean and deviation are ImageNet's for RGB, 0 and 1 for any other number of channels.
        finite: whether weights that are not finite are refused; if not, a network whose training diverged is
            read as it is, and responses that depend on such weights are not finite.

    Attributes:
        size: as given, in the standard form of sizes.
        channels: C.
        layers: name -> layer, for every module whose output has channels, in the order of the modules; for
            each call of a module that is called several times.
        order: these names in the order in which their calls end in a forward pass: sources come first.

    Raises:
        StudyError: a weight is not finite and has to be, or has no shape yet; the network cannot be copied,
            is TorchScript, normalises over the images of a batch, changes its answer from call to call, or
            cannot take such images.
    """

    def __init__(
        self,
        module: nn.Module,
        size: Size,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        *,
        finite: bool = True,
    ) -> None:
        checks.require_python(module)
        checks.require_initialised(module)
        if finite:
            checks.require_finite(module)
        checks.require_own_statistics(module)
        self.size: Size = checked(size)
        self._mean, self._std = checks.normalisation(module, self.size, mean, std)
        self._normal: dict[torch.device, tuple[Tensor, Tensor]] = {}
        self._module = checks.copied(module).cpu().float()
        self._prepared: dict[tuple[torch.dtype, torch.device], operations.Graph] = {}
        self._moved: dict[tuple[torch.dtype, torch.device], nn.Module] = {}
        shape = 2, self.channels, *sides(self.size)
        example = self.normalise(torch.rand(shape, generator=torch.Generator().manual_seed(0)))
        self._calls = checks.called(self._module, example, self.size)
        repeatable.require_repeatable(self._module, example)
        numbers = checks.with_numbers(self._module)  # otherwise all graphs would seem to give the same
        graph_is_known = numbers is self._module or trace.trace(numbers, example) is not None
        self._traced = trace.trace(self._module, example) if graph_is_known else None
        known = self._traced.results if self._traced else self._calls.shapes
        with torch.no_grad():
            self._following = {} if self._traced else hooks.following(self._module, example)
        found = layers.layers_of(self._module, self._calls, sides(self.size))
        self.layers: dict[str, Layer] = {name: layer for name, layer in found.items() if name in known}
        self.order = [name for name in self._calls.shapes if name in self.layers]
        turned = {name: layer.channels_last for name, layer in self.layers.items()}
        self._nodes = self._traced.nodes(turned) if self._traced else {}

    @property
    def channels(self) -> int:
        """The number of channels of its images."""
        return len(self._mean)

    @property
    def is_traced(self) -> bool:
        """Whether its graph is known, so that only what a unit needs is computed."""
        return self._traced is not None

    @property
    def elements(self) -> int:
        """How many numbers a forward pass holds for one image, to estimate memory; 0 if not known."""
        return self._traced.elements if self._traced else 0

    def normalise(self, images: Tensor) -> Tensor:
        """Normalise images (B, C, H, W) in [0, 1] as in the network's training."""
        if images.device not in self._normal:  # a copy to a GPU, once: it cannot be part of a recorded step
            values = torch.tensor([self._mean, self._std]).to(images.device)
            self._normal[images.device] = values[0][:, None, None], 1 / values[1][:, None, None]
        mean, scale = self._normal[images.device]
        return (images - mean) * scale

    def readout(self, layer: str, objective: Objective, dtype: torch.dtype, device: torch.device) -> Readout:
        """Build what computes the response of one channel of a layer to each image.

        Raises:
            StudyError: there is no such layer, or no such position in it.
        """
        position = self.position(layer, objective)
        if not self._traced:
            hooked = self._hooked([layer], objective, dtype, device)
            return Readout(hooks.Unit(hooked, layer, position), whole(*sides(self.size)))
        node = self._nodes[layer, objective.activation]
        return readout.unit_readout(self._graph(dtype, device), node, position)

    def columns(
        self, layers: Sequence[str], objective: Objective, dtype: torch.dtype, device: torch.device
    ) -> tuple[Callable[[Tensor], Mapping[str, Tensor]], Window]:
        """Build what computes the responses (B, C) of all channels of layers, and the image window it takes.

        Raises:
            StudyError: as for `readout`.
        """
        positions = {layer: self.position(layer, objective) for layer in layers}
        if not self._traced:
            hooked = self._hooked(layers, objective, dtype, device)
            return hooks.Columns(hooked, positions), whole(*sides(self.size))
        nodes = {layer: (self._nodes[layer, objective.activation], positions[layer]) for layer in layers}
        return readout.columns(self._graph(dtype, device), nodes)

    def along(
        self, layer: str, inner: Sequence[str], objective: Objective, dtype: torch.dtype, device: torch.device
    ) -> tuple[Callable[[Tensor], Mapping[str, Tensor]], Window]:
        """Build what computes the values (B, ...) of layers on the way to units, and the window it takes.

        For those of `inner` that the layer's units depend on, it gives the part that the units see, on the
        side of the non-linearity that the objective names, after a normalisation; for the layer itself, the
        responses (B, C). If a network cannot be traced, it gives all layers that end before, in full.
        Raises StudyError as `readout` does.
        """
        position = self.position(layer, objective)
        if not self._traced:
            before = [name for name in inner if self.order.index(name) < self.order.index(layer)]
            hooked = self._hooked([*before, layer], objective, dtype, device)
            return HookedAlong(hooked, layer, position), whole(*sides(self.size))
        nodes = {name: self._nodes[name, objective.activation] for name in (*inner, layer)}
        return traced_along(self._graph(dtype, device), layer, position, nodes)

    def uncut(
        self, layer: str, objective: Objective, dtype: torch.dtype, device: torch.device, *, read: bool = True
    ) -> Callable[[Tensor], Tensor]:
        """Build what computes the responses of all channels of a layer by the network's own operations.

        It is slower than `columns`, as all of every map is computed, but it rounds as the network itself
        does, and modes can replace operations. Nothing past the layer is run. The result maps normalised
        images (B, C, H, W) to responses (B, C), or, if not `read`, to the whole output of the layer. Errors:
        see `readout`.
        """
        position = self.position(layer, objective)
        values: nn.Module = (
            self._traced.until(self._nodes[layer, objective.activation], self._as(dtype, device))
            if self._traced
            else hooks.One(self._hooked([layer], objective, dtype, device), layer)
        )
        return (lambda images: layers.read(values(images), position)) if read else values

    def position(self, layer: str, objective: Objective) -> tuple[int, ...] | None:
        """Where a layer is read: row and column, a token, () for a vector; None for the mean."""
        found = self.layer(layer)
        if objective.position == "mean":
            return None if found.shape else ()
        if objective.position == "centre":
            return layers.centre(found, sides(self.size))
        if objective.position == "image_centre":
            return self._image_centre(found)
        return layers.require_position(found, objective.position)

    def box(self, layer: str, objective: Objective) -> Window | None:
        """The theoretical receptive field: the window of the image that a unit sees through its convolutions.

        It may extend beyond the image's border. None if it is not known, or if the mean over a map is read.
        """
        found, position = self.layer(layer), self.position(layer, objective)
        if not self._traced or found.kind != "map" or found.channels_last or position is None:
            return None
        graph = operations.Graph(self._traced, {})
        return crop.receptive_field(graph, self._nodes[layer, "pre"], *position)

    def layer(self, name: str) -> Layer:
        """A layer by its name.

        Raises:
            StudyError: there is none; the message says what the module of this name is, or gives similar
                names.
        """
        if name not in self.layers:
            raise layers.absent(name, self.layers, calls.why_not(self._module, self._calls, name))
        return self.layers[name]

    def add_directions(self, layer: str, directions: Tensor) -> str:
        """Add a layer whose channels are directions in the space of another layer's channels.

        Its k-th unit responds with sum_c directions[k, c] times the response of channel c, before or after
        the non-linearity, as the objective says.

        Args:
            layer: the layer whose channels they combine.
            directions: (K, C).

        Returns:
            The name of the new layer, "<layer> directions".

        Raises:
            StudyError: there is no such layer, the directions do not fit it, or the graph is not known.
        """
        found = self.layer(layer)
        fits = directions.ndim == 2 and directions.shape[1] == found.channels and len(directions)
        if not (self._traced and fits and directions.isfinite().all()):
            raise StudyError(
                f"directions of layer {layer!r}",
                expected=f"(directions, {found.channels}) finite numbers, of a network whose graph is known",
                found=str(tuple(directions.shape)) if self._traced else "a network that cannot be traced",
                remedy="give a row for each direction",
            )
        name = f"{layer} directions"
        first = found.kind == "map" and not found.channels_last
        for activation in ("pre", "post"):
            path = f"directions_{len(self._nodes)}"
            mixing = nn.Conv2d(found.channels, len(directions), 1, bias=False) if first else None
            combine = mixing or nn.Linear(found.channels, len(directions), bias=False)
            weight = directions.detach().float().cpu()
            combine.weight = nn.Parameter(weight[:, :, None, None] if first else weight, requires_grad=False)
            self._module.add_module(path, combine)
            source = self._nodes[layer, activation]
            with self._traced.graph.inserting_after(source):
                node = self._traced.graph.create_node("call_module", path, (source,))
            shape, count = source.meta[trace.SHAPE], len(directions)
            node.meta[trace.SHAPE] = (count, *shape[1:]) if first else (*shape[:-1], count)
            self._nodes[name, activation] = node
        self.layers[name] = replace(found, name=name, type="directions", channels=len(directions))
        self.order.insert(self.order.index(layer) + 1, name)
        self._prepared.clear()
        self._moved.clear()
        return name

    def require_channels(self, layer: str, channels: Sequence[int]) -> None:
        """Check that a layer has these channels.

        Raises:
            StudyError: there is no such layer, or it lacks one of the channels.
        """
        count = self.layer(layer).channels
        for channel in channels:
            if not 0 <= channel < count:
                raise StudyError(
                    f"layer {layer!r}, channel {channel}",
                    expected=f"a channel from 0 to {count - 1}",
                    found=str(channel),
                    remedy="choose one of these; `protoviz units` lists the layers and their channels",
                )

    def _graph(self, dtype: torch.dtype, device: torch.device) -> operations.Graph:
        """The graph in a precision and on a device, made once."""
        assert self._traced
        if (dtype, device) not in self._prepared:
            own = replace(self._traced, module=deepcopy(self._module))
            self._prepared[dtype, device] = operations.prepare(own, dtype, device)
        return self._prepared[dtype, device]

    def _hooked(
        self, layers: Sequence[str], objective: Objective, dtype: torch.dtype, device: torch.device
    ) -> hooks.Hooked:
        turned = [name for name in layers if self.layers[name].channels_last]
        following = None if objective.activation == "pre" else self._following
        return hooks.Hooked(self._as(dtype, device), layers, following, turned)

    def _as(self, dtype: torch.dtype, device: torch.device) -> nn.Module:
        """The module in a precision and on a device, copied once if need be."""
        if (dtype, device) == (torch.float32, torch.device("cpu")):
            return self._module
        if (dtype, device) not in self._moved:
            self._moved[dtype, device] = operations.moved(deepcopy(self._module), dtype, device)
        return self._moved[dtype, device]

    def _image_centre(self, layer: Layer) -> tuple[int, ...]:
        """The position whose receptive field lies nearest to the middle of the image."""
        found = None
        if self._traced and layer.kind == "map" and not layer.channels_last:
            graph = operations.Graph(self._traced, {})
            found = crop.nearest_to_middle(graph, self._nodes[layer.name, "pre"], sides(self.size))
        if found is None:
            raise StudyError(
                f"layer {layer.name!r}: position image_centre",
                expected="a map whose units see a part of the image each",
                found=f"{layer.kind} of a {layer.type}",
                remedy="read it at 'centre' or 'mean'",
            )
        return found
