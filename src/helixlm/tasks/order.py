"""Which sequences make up each fine-tuning step: a pure function of lengths, seed and step.

Comes in: how long the sequences are. Goes out: row numbers. Sequences of like length share a
batch, which spares padding; which ones they are changes from epoch to epoch.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helixlm.rng import CounterRng

POOL_BATCHES = 16
"""Batches that are drawn together and then sorted by length: more spare more padding, fewer mix
lengths better. transformers' `group_by_length` takes 50."""


class BatchOrder:
    """The batches of a training run.

    Parameters
    ----------
    lengths_N : array-like, int, shape (N,)
        Tokens of each sequence.
    batch_size : int
        Sequences of a batch; in each epoch one batch holds the remainder.
    seed : int
        Which of the possible orders.
    """

    def __init__(self, lengths_N: ArrayLike, *, batch_size: int, seed: int) -> None:
        self._lengths_N = np.asarray(lengths_N)
        self._batch_size, self._seed = batch_size, seed
        self._epoch = -1
        self._batches: list[NDArray[np.int64]] = []

    @property
    def batches_per_epoch(self) -> int:
        """Steps in which every sequence is seen once."""
        return -(-len(self._lengths_N) // self._batch_size)

    def rows(self, step: int) -> NDArray[np.int64]:
        """Return the rows of one step, int64, in ascending order of length."""
        epoch, number = divmod(step, self.batches_per_epoch)
        if epoch != self._epoch:
            self._batches, self._epoch = self._draw(epoch), epoch
        return self._batches[number]

    def _draw(self, epoch: int) -> list[NDArray[np.int64]]:
        size = self._batch_size
        shuffled_N = CounterRng("finetune-rows", self._seed, epoch).permutation(
            len(self._lengths_N)
        )
        batches = []
        for start in range(0, len(shuffled_N), POOL_BATCHES * size):
            pool = shuffled_N[start : start + POOL_BATCHES * size]
            pool = pool[np.argsort(self._lengths_N[pool], kind="stable")]
            batches += [pool[i : i + size] for i in range(0, len(pool), size)]
        order = CounterRng("finetune-batches", self._seed, epoch).permutation(len(batches))
        return [batches[i] for i in order]
