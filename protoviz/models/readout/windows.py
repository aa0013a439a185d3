"""Compute which part of its input an operation needs for a part of its output: exact arithmetic on windows.

A unit at one position depends on a window of the maps before it, its receptive field. Computing only
that window gives the same value: where the window ends inside a map, the values beyond it are not
needed; where it ends at the border, the padding is added again.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Span(NamedTuple):
    """Positions start..stop-1 along an axis."""

    start: int
    stop: int

    def hull(self, other: "Span") -> "Span":
        """The shortest span that holds both."""
        return Span(min(self.start, other.start), max(self.stop, other.stop))


class Window(NamedTuple):
    """Rows and columns of a map."""

    rows: Span
    columns: Span

    def hull(self, other: "Window") -> "Window":
        """The smallest window that holds both."""
        return Window(self.rows.hull(other.rows), self.columns.hull(other.columns))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start


def whole(height: int, width: int) -> Window:
    """All of a map.

    >>> whole(4, 6)
    Window(rows=Span(start=0, stop=4), columns=Span(start=0, stop=6))
    """
    return Window(Span(0, height), Span(0, width))


def at(row: int, column: int) -> Window:
    """One position."""
    return Window(Span(row, row + 1), Span(column, column + 1))


class Need(NamedTuple):
    """What an axis of an operation's input must give: a span inside the map, and padding around it.

    The span is never empty. If an operation sees only padding, the span is one that it does not see, and
    the padding on its other side is negative: the number of positions to cut off after padding.
    """

    span: Span
    before: int
    after: int


class Axis(Protocol):
    """How one axis of an operation's output depends on the same axis of its input."""

    def seen(self, out: Span) -> Span:
        """The inputs that a span of outputs depends on, which may lie beyond the border."""


@dataclass(frozen=True)
class Sliding:
    """A convolution or pooling: output i sees inputs i * stride - padding + [0, reach)."""

    kernel: int
    stride: int
    padding: int
    dilation: int = 1

    def seen(self, out: Span) -> Span:
        """See `Axis`."""
        reach = self.dilation * (self.kernel - 1) + 1
        start = out.start * self.stride - self.padding
        return Span(start, (out.stop - 1) * self.stride - self.padding + reach)


@dataclass(frozen=True)
class Transposed:
    """A transposed convolution: input i reaches outputs i * stride - padding + [0, kernel)."""

    kernel: int
    stride: int
    padding: int

    def seen(self, out: Span) -> Span:
        """See `Axis`."""
        first = -(-(out.start + self.padding - self.kernel + 1) // self.stride)
        return Span(first, (out.stop - 1 + self.padding) // self.stride + 1)

    def first(self, needed: Span) -> int:
        """The first output of the operation without padding on these inputs."""
        return needed.start * self.stride - self.padding


@dataclass(frozen=True)
class Shuffled:
    """A pixel shuffle: input i holds outputs i * factor + [0, factor)."""

    factor: int

    def seen(self, out: Span) -> Span:
        """See `Axis`."""
        return Span(out.start // self.factor, -(-out.stop // self.factor))

    def first(self, needed: Span) -> int:
        """The first output of the operation on these inputs."""
        return needed.start * self.factor


def need(axis: Axis, out: Span, extent: int) -> Need:
    """The inputs within a map of this extent, and how much padding they need on either side."""
    seen = axis.seen(out)
    start = min(max(seen.start, 0), extent - 1)
    inside = Span(start, max(min(seen.stop, extent), start + 1))
    return Need(inside, inside.start - seen.start, seen.stop - inside.stop)
