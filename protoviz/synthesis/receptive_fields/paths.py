"""Turns the gradients of any network into numbers of paths: each operation passes on the share of each input.

While `CountingPaths` is active, operations are replaced as they are called, whether by a module, a function
or a method, in a graph or in the network's own Python. The rule:

    convolutions, linear layers       all weights are equal, one over the number of inputs; no bias
    maxima                            a mean over the window, of the values that are not padding
    normalisation                     passes its input
    element-wise functions            pass their input
    attention, softmax                equal shares of all that is not masked
    a product or ratio of two values  passes the one with more elements, or else the first; the other one, a
                                      gate, counts as 1, as do learned scales; numbers stay
    everything else                   as it is: sums, means, concatenation, reshaping, interpolation

All of this is linear in the image, so that the gradient depends neither on weights nor on pixels.

Some rules are approximate: attention, whose trained shares are not equal; gates, which see the whole image in
squeeze and excitation, a path that is left out as in the theoretical field; kernels that are not learnt, such
as those of blurring, which count as equal weights; products of values that no rule tells from products with
weights (matrices multiplied by hand, einsum), maxima over dilated windows or whole axes, one mask for each
head of an attention, and code compiled to run without Python, whose own numbers count.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from protoviz.models.readout.trace import ACTIVATION_FUNCTIONS

MASKED = -50.0  # what is added to the logits of an attention to mask them is less: -100 or -inf

_Function = Callable[..., Any]

_PASSING = {
    *(function.__name__ for function in ACTIVATION_FUNCTIONS),
    *("hardshrink", "softshrink", "tanhshrink", "logsigmoid", "log_sigmoid", "softsign", "threshold"),
    *("rrelu", "clamp", "clamp_min", "clamp_max", "clip", "abs", "exp", "log", "log1p", "square", "sqrt"),
    *("rsqrt", "pow", "log_softmax", "erf"),
    *("batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm", "local_response_norm"),
    *("normalize"),
}


class CountingPaths(TorchFunctionMode):
    """While it is active, operations on what depends on an image count paths; see above."""

    def __torch_function__(
        self, func: _Function, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "").strip("_")  # also relu_, __mul__
        if name in _PASSING and (passed := next(iter((*args, *kwargs.values())), None)) is not None:
            return passed if _depends(passed) else func(*args, **kwargs)
        if name in _RULES and any(_depends(value) for value in (*args, *kwargs.values())):
            return _RULES[name](func, *args, **kwargs)
        return func(*args, **kwargs)


def _depends(value: Any) -> bool:
    """Whether a value depends on the image: in a frozen network nothing else has a gradient."""
    return isinstance(value, Tensor) and value.requires_grad


def _convolution(func: _Function, input: Tensor, weight: Tensor, *how: Any, **options: Any) -> Any:
    return func(input, _even(weight, weight[0].numel()), None, *how[1:], **_without_bias(options))


def _transposed(func: _Function, input: Tensor, weight: Tensor, *how: Any, **options: Any) -> Any:
    return func(input, _even(weight, weight[:, 0].numel()), None, *how[1:], **_without_bias(options))


def _even(weight: Tensor, inputs: int) -> Tensor:
    return torch.full_like(weight, 1 / inputs)


def _without_bias(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name != "bias"}


def _maximum(
    func: _Function,
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    **_options: Any,
) -> Any:
    if any(step != 1 for step in (dilation if isinstance(dilation, tuple | list) else (dilation,))):
        return func(input, kernel_size, stride, padding, dilation, ceil_mode)
    return _mean(func)(input, kernel_size, stride or None, padding, ceil_mode, count_include_pad=False)


def _maximum_of_parts(func: _Function, input: Tensor, output_size: Any, **_options: Any) -> Any:
    return _mean(func)(input, output_size)


def _mean(maximum: _Function) -> _Function:
    """The function that pools as this one does, but takes means."""
    found: _Function = getattr(functional, maximum.__name__.strip("_").replace("max", "avg"))
    return found


def _product(func: _Function, first: Any, second: Any, **options: Any) -> Any:
    if not (isinstance(first, Tensor) and isinstance(second, Tensor)):
        return func(first, second, **options)
    values = [value for value in (first, second) if _depends(value)]
    followed = max(values, key=Tensor.numel)  # the first of two alike
    return followed.expand(torch.broadcast_shapes(first.shape, second.shape))


def _quotient(func: _Function, first: Any, second: Any, **options: Any) -> Any:
    if isinstance(first, Tensor) and not isinstance(second, Tensor):
        return func(first, second, **options)
    return _product(func, first, second) if isinstance(first, Tensor) else second


def _sum_and_product(
    _func: _Function, input: Tensor, first: Tensor, second: Tensor, *, value: float = 1
) -> Tensor:
    alone = not (_depends(first) or _depends(second))
    return input + value * (first * second if alone else _product(torch.mul, first, second))


def _half(_func: _Function, input: Tensor, dim: int = -1) -> Tensor:
    return input.chunk(2, dim)[0]


def _shares(
    _func: _Function | None, input: Tensor, dim: int | None = None, *_: Any, **_options: Any
) -> Tensor:
    allowed = (~(input < MASKED)).to(input.dtype)
    return allowed / allowed.sum(-1 if dim is None else dim, keepdim=True)


def _allowed_shares(values: Tensor, queries: int, keys: int, mask: Any, is_causal: bool = False) -> Tensor:
    """(..., queries, keys), of the precision of `values`."""
    logits = values.new_zeros(queries, keys)
    if is_causal:
        logits = logits.masked_fill(torch.ones_like(logits).tril() == 0, -torch.inf)
    if mask is not None:
        logits = logits.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else logits + mask
    return _shares(None, logits.detach())


def _attention(
    _func: _Function,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    _dropout: float = 0.0,
    is_causal: bool = False,
    **_options: Any,
) -> Tensor:
    return _allowed_shares(value, query.shape[-2], key.shape[-2], attn_mask, is_causal) @ value


def _multi_head_attention(
    _func: _Function, query: Tensor, key: Tensor, value: Tensor, embed_dim: int, *_: Any, **options: Any
) -> tuple[Tensor, None]:
    """With equal weights before and after it, all channels of an output are the mean over all values."""
    mask = options.get("attn_mask")
    if mask is not None and mask.dtype == torch.bool:
        mask = ~mask  # here it says what is hidden
    mask = mask if mask is not None and mask.ndim == 2 else None  # one for each head is left out
    shares = _allowed_shares(value, len(query), len(key), mask)
    mixed = shares @ value.mean(-1)
    return mixed[..., None].expand(*query.shape[:-1], embed_dim), None


_RULES: dict[str, _Function] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "linear"), _convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _transposed),
    **dict.fromkeys(("max_pool1d", "max_pool2d", "max_pool3d"), _maximum),
    **dict.fromkeys(("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"), _maximum_of_parts),
    **dict.fromkeys(("mul", "multiply", "rmul", "imul"), _product),
    **dict.fromkeys(("div", "divide", "true_divide", "truediv", "rtruediv", "itruediv", "rdiv"), _quotient),
    **dict.fromkeys(("softmax",), _shares),
    "addcmul": _sum_and_product,
    "glu": _half,
    "scaled_dot_product_attention": _attention,
    "multi_head_attention_forward": _multi_head_attention,
}
