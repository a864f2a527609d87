"""An embedding whose gradient is the same, bit for bit, each time: compiled and on any threads.

The gradient of a table row is a sum over all tokens that used it. A compiled graph forms that sum
with atomic additions, in the order in which threads happen to arrive, so that two runs differ
in their last bits. PyTorch's own kernel sums in a fixed order; here it stays one opaque step of
the graph.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Lookup(nn.Embedding):
    """`nn.Embedding` with a reproducible gradient; the row `padding_idx` gets none."""

    def forward(self, ids: Tensor) -> Tensor:
        """Return the rows named by `ids`, float, shape (..., C)."""
        padding_idx = -1 if self.padding_idx is None else self.padding_idx
        return _take_rows(self.weight, ids, padding_idx)


@torch.library.custom_op("helixlm::take_rows", mutates_args=())
def _take_rows(weight_RC: Tensor, ids: Tensor, padding_idx: int) -> Tensor:
    return F.embedding(ids, weight_RC)


@torch.library.custom_op("helixlm::sum_by_row", mutates_args=())
def _sum_by_row(grad: Tensor, ids: Tensor, num_rows: int, padding_idx: int) -> Tensor:
    """Add up gradients (..., C) by the row that each belongs to, (R, C)."""
    return torch.ops.aten.embedding_dense_backward(
        grad.contiguous(), ids, num_rows, padding_idx, False
    )


# What compilation needs to know of the two: the shapes of their results, and the gradient.


@_take_rows.register_fake
def _(weight_RC: Tensor, ids: Tensor, padding_idx: int) -> Tensor:
    return weight_RC.new_empty((*ids.shape, weight_RC.shape[1]))


@_sum_by_row.register_fake
def _(grad: Tensor, ids: Tensor, num_rows: int, padding_idx: int) -> Tensor:
    return grad.new_empty((num_rows, grad.shape[-1]))


def _remember(ctx: Any, inputs: tuple[Tensor, Tensor, int], output: Tensor) -> None:
    weight_RC, ids, ctx.padding_idx = inputs
    ctx.num_rows = weight_RC.shape[0]
    ctx.save_for_backward(ids)


def _gradient(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
    (ids,) = ctx.saved_tensors
    return _sum_by_row(grad, ids, ctx.num_rows, ctx.padding_idx), None, None


_take_rows.register_autograd(_gradient, setup_context=_remember)
