"""Which inputs an output depends on: against the dependence that PyTorch's own operations show."""

import pytest
import torch
from torch.nn import functional

from protoviz.models.readout.windows import Need, Shuffled, Sliding, Span, Transposed, Window, at, need, whole

SLIDING = [
    Sliding(kernel, stride, padding, dilation)
    for kernel, stride, padding, dilation in (
        *((1, 1, 0, 1), (3, 1, 1, 1), (3, 2, 1, 1), (2, 2, 0, 1), (4, 1, 2, 1), (7, 2, 3, 1)),
        *((3, 1, 2, 2), (2, 3, 1, 4), (1, 3, 0, 1), (1, 1, 2, 1), (3, 1, 5, 1)),
    )
]
TRANSPOSED = [Transposed(*how) for how in ((4, 2, 1), (3, 1, 1), (3, 2, 0), (2, 2, 0), (5, 3, 2), (6, 2, 5))]
SHUFFLED = [Shuffled(1), Shuffled(2), Shuffled(3)]
EXTENT = 9


def operation(axis):
    """The operation of an axis, with weights of one, on a signal (1, 1, n)."""
    one = torch.ones(1, 1, getattr(axis, "kernel", 1), dtype=torch.float64)
    if isinstance(axis, Sliding):
        return lambda x: functional.conv1d(x, one, None, axis.stride, axis.padding, axis.dilation)
    if isinstance(axis, Transposed):
        return lambda x: functional.conv_transpose1d(x, one, None, axis.stride, axis.padding)
    return lambda x: x.repeat_interleave(axis.factor, 2)


def dependence(axis, extent):
    """(outputs, inputs): whether the output changes with the input."""
    jacobian = torch.autograd.functional.jacobian(
        operation(axis), torch.zeros(1, 1, extent, dtype=torch.float64)
    )
    return jacobian[0, 0, :, 0, 0] != 0


def spans(extent):
    return [Span(start, stop) for stop in range(1, extent + 1) for start in range(stop)]


@pytest.mark.parametrize("axis", [*SLIDING, *TRANSPOSED, *SHUFFLED], ids=str)
def test_seen_is_what_outputs_depend_on_and_nothing_around_it(axis):
    """Every output of the span depends on nothing else, and the first and last input that are seen matter."""
    depends = dependence(axis, EXTENT)
    for out in spans(len(depends)):
        inputs = depends[out.start : out.stop].any(0).nonzero()[:, 0].tolist()
        seen = axis.seen(out)
        inside = range(max(seen.start, 0), min(seen.stop, EXTENT))
        assert set(inputs) <= set(inside), out
        # The border may cut a dilated kernel between two of its points.
        if inputs and getattr(axis, "dilation", 1) == 1:
            assert (inputs[0], inputs[-1]) == (inside[0], inside[-1]), out


@pytest.mark.parametrize("axis", SLIDING, ids=str)
def test_the_inputs_that_are_needed_with_their_padding_give_the_outputs(axis):
    signal = torch.randn(1, 1, EXTENT, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    whole_output = operation(axis)(signal)
    unpadded = operation(Sliding(axis.kernel, axis.stride, 0, axis.dilation))
    for out in spans(whole_output.shape[2]):
        span, before, after = need(axis, out, EXTENT)
        assert 0 <= span.start < span.stop <= EXTENT
        padded = functional.pad(signal[:, :, span.start : span.stop], (max(before, 0), max(after, 0)))
        cut = padded[:, :, max(-before, 0) : padded.shape[2] + min(after, 0)]
        torch.testing.assert_close(unpadded(cut), whole_output[:, :, out.start : out.stop])


@pytest.mark.parametrize("axis", [*TRANSPOSED, *SHUFFLED], ids=str)
def test_the_inputs_that_are_needed_give_the_outputs_from_the_first_on(axis):
    signal = torch.randn(1, 1, EXTENT, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    whole_output = operation(axis)(signal)
    unpadded = operation(Transposed(axis.kernel, axis.stride, 0) if isinstance(axis, Transposed) else axis)
    for out in spans(whole_output.shape[2]):
        span = need(axis, out, EXTENT).span
        made = unpadded(signal[:, :, span.start : span.stop])
        first = axis.first(span)
        assert first <= out.start, out
        torch.testing.assert_close(
            made[:, :, out.start - first : out.stop - first], whole_output[:, :, out.start : out.stop]
        )


def test_the_paper_s_unit_of_layer1_step_by_step():
    """Row 11 of layer1 of ResNet18 at 96 px: four convolutions, a pooling, the first convolution."""
    span = Span(11, 12)
    for axis, expected in (
        *((Sliding(3, 1, 1), (11 - reach, 12 + reach)) for reach in (1, 2, 3, 4)),
        (Sliding(3, 2, 1), (13, 32)),
        (Sliding(7, 2, 3), (23, 66)),
    ):
        span = axis.seen(span)
        assert span == expected


def test_padding_is_needed_at_the_border_alone():
    axis = Sliding(3, 1, 1)
    assert need(axis, Span(0, 2), 5) == Need(Span(0, 3), 1, 0)
    assert need(axis, Span(2, 3), 5) == Need(Span(1, 4), 0, 0)
    assert need(axis, Span(3, 5), 5) == Need(Span(2, 5), 0, 1)
    assert need(axis, Span(0, 5), 5) == Need(Span(0, 5), 1, 1)


def test_where_nothing_but_padding_is_seen_a_span_is_left_to_cut_off():
    """Output 0 of a kernel of 1 with padding 3 sees input -3, output 10 input 7."""
    axis = Sliding(1, 1, 3)
    assert need(axis, Span(0, 1), 5) == Need(Span(0, 1), 3, -3)
    assert need(axis, Span(10, 11), 5) == Need(Span(4, 5), -3, 3)


def test_windows():
    left, right = Window(Span(0, 2), Span(1, 3)), Window(Span(4, 5), Span(0, 1))
    assert left.hull(right) == right.hull(left) == Window(Span(0, 5), Span(0, 3))
    assert left.size == (2, 2)
    assert whole(3, 4).size == (3, 4)
    assert at(2, 5) == Window(Span(2, 3), Span(5, 6))
