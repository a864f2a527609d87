"""An embedding whose gradient is the same, bit for bit, each time: compiled and on any threads.

The gradient of a table row is a sum over all tokens that used it. A compiled graph forms that sum
with atomic additions, in the order in which threads happen to arrive, so that two runs differ
in their last bits. PyTorch's own kernel sums in a fixed order (and is faster where many tokens
share few rows, as in DNA); here it stays one opaque step of the graph.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Lookup(nn.Embedding):
    """`nn.Embedding` with a reproducible gradient; the row `padding_idx` gets none."""

    def forward(self, ids: Tensor) -> Tensor:
        """Return the rows named by `ids`, float, shape (..., C)."""
        return _Rows.apply(self.weight, ids, self.padding_idx)


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight_RC: Tensor, ids: Tensor, padding_idx: int | None) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.num_rows = weight_RC.shape[0]
        ctx.padding_idx = -1 if padding_idx is None else padding_idx
        return F.embedding(ids, weight_RC)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (ids,) = ctx.saved_tensors
        return _sum_by_row(grad, ids, ctx.num_rows, ctx.padding_idx), None, None


@torch.library.custom_op("helixlm::sum_by_row", mutates_args=())
def _sum_by_row(grad: Tensor, ids: Tensor, num_rows: int, padding_idx: int) -> Tensor:
    """Add up gradients (..., C) by the row that each belongs to, (R, C)."""
    return torch.ops.aten.embedding_dense_backward(
        grad.contiguous(), ids, num_rows, padding_idx, False
    )


@_sum_by_row.register_fake
def _(grad: Tensor, ids: Tensor, num_rows: int, padding_idx: int) -> Tensor:
    return grad.new_empty((num_rows, grad.shape[-1]))
