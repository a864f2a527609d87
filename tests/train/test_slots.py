"""What a causal batch asks, against a slow loop; and that rows never mix documents."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helixlm.rng import CounterRng
from helixlm.train.batches import BatchConfig
from helixlm.train.packing import RowPlan
from helixlm.train.slots import IGNORED, ask_next
from helixlm.train.stream import TrainingStream

from .toy import VOCABULARY, make_documents

BARE = VOCABULARY._replace(bos=None, eos=None)
REGULAR = np.arange(17) > 4


def asked_slowly(ids, documents):
    """Position and next token, wherever there is a next regular token of the same document."""
    found = []
    for row, tokens in enumerate(ids.tolist()):
        for at, (_, after) in enumerate(pairwise(tokens)):
            same = documents is None or documents[row, at] == documents[row, at + 1]
            if same and after > 4:
                found.append((row * len(tokens) + at, after))
    return found


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(2, 30), st.booleans())
def test_every_next_token_of_a_document_is_asked_for(key, rows, size, packed):
    ids = CounterRng("ids", key).integers(0, 17, rows * size).reshape(rows, size)
    documents = None
    if packed:
        drawn = CounterRng("documents", key).integers(0, 3, rows * size)
        documents = np.sort(drawn.reshape(rows, size), axis=1)
    slots = ask_next(ids, documents, REGULAR)
    expected = asked_slowly(ids, documents)
    assert len(slots.index_M) == len(slots.labels_M) == rows * (size - 1)
    found = zip(slots.index_M.tolist(), slots.labels_M.tolist(), strict=True)
    assert list(found)[: len(expected)] == expected
    assert (slots.labels_M[len(expected) :] == IGNORED).all()


@pytest.mark.parametrize("vocabulary", [VOCABULARY, BARE], ids=["special", "bare"])
@pytest.mark.parametrize("packing", ["documents", "concatenate"])
def test_a_causal_stream_shows_rows_as_they_are(packing, vocabulary):
    config = BatchConfig(packing=packing, row_tokens=32, rows=4)
    plan = RowPlan(make_documents(100), config, vocabulary, 0)
    stream = TrainingStream(plan, None, seed=3, micro_rows=4)
    batch = stream[1]
    micro = batch.micro[0]
    rows = [plan.row(stream._row_of_sample(4 + number)) for number in range(4)]
    assert (micro.input_ids_BL.numpy() == np.stack([row.ids_L for row in rows])).all()
    documents = None
    if packing == "documents":
        documents = np.stack([row.document_L for row in rows])
    expected = asked_slowly(micro.input_ids_BL.numpy(), documents)
    used = micro.labels_M >= 0
    found = zip(micro.masked_index_M[used].tolist(), micro.labels_M[used].tolist(), strict=True)
    assert list(found) == expected
    assert batch.num_masked == len(expected)
