"""Every epoch is a permutation; batches are drawn from (seed, step) alone and spare padding."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from helixlm.rng import CounterRng
from helixlm.tasks.order import BatchOrder


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 200), st.integers(1, 40), st.integers(0, 3))
def test_each_epoch_holds_every_row_once(count, batch_size, seed):
    order = BatchOrder(np.arange(count) % 7, batch_size=batch_size, seed=seed)
    steps = order.batches_per_epoch
    for epoch in range(2):
        batches = [order.rows(epoch * steps + i) for i in range(steps)]
        assert sorted(np.concatenate(batches).tolist()) == list(range(count))
        assert sorted(map(len, batches), reverse=True)[: steps - 1] == [batch_size] * (steps - 1)


def test_a_step_does_not_depend_on_the_steps_before():
    lengths = CounterRng("lengths").integers(5, 50, 300)
    walked = BatchOrder(lengths, batch_size=16, seed=4)
    for step in range(60):
        jumped = BatchOrder(lengths, batch_size=16, seed=4)
        assert walked.rows(step).tolist() == jumped.rows(step).tolist()
    other = BatchOrder(lengths, batch_size=16, seed=5)
    assert walked.rows(0).tolist() != other.rows(0).tolist()
    epochs = [walked.rows(i * walked.batches_per_epoch).tolist() for i in range(2)]
    assert epochs[0] != epochs[1]


def test_rows_of_like_length_share_a_batch():
    lengths = CounterRng("lengths").integers(10, 100, 1024)
    order = BatchOrder(lengths, batch_size=32, seed=0)
    padded = sum(32 * lengths[order.rows(i)].max() for i in range(32))
    assert padded < 1.1 * lengths.sum()
