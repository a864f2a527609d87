"""The table of digests against a dictionary."""

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from helixlm.data.similarity.digests import DigestTable, digest, strandless_digest
from helixlm.seq.ops import reverse_complement


def test_case_and_strand():
    assert digest("acGT") == digest("ACGT") != digest("ACGA")
    assert digest("AACG") != digest(reverse_complement("AACG"))
    assert strandless_digest("AACg") == strandless_digest("cGTT") != strandless_digest("AACC")


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.lists(st.integers(0, 30), max_size=20), max_size=6), st.lists(st.integers(0, 40))
)
def test_the_first_number_is_found(batches, questions):
    table, known, number = DigestTable(), {}, 0
    for batch in batches:
        expected = []
        for at, member in enumerate(batch, number):
            expected.append(known.get(member, -1))
            known.setdefault(member, at)
        assert table.add([key(m) for m in batch], number).tolist() == expected
        number += len(batch)
    assert table.find([key(m) for m in questions]).tolist() == [known.get(m, -1) for m in questions]


def key(member):
    """Digests that begin alike, so that they contend for slots."""
    return bytes([member % 3, *[0] * 7]) + hashlib.md5(bytes([member])).digest()[:8]


def test_the_table_grows():
    table = DigestTable()
    keys = [hashlib.md5(str(i).encode()).digest() for i in range(20_000)]
    for start in range(0, len(keys), 1000):
        assert set(table.add(keys[start : start + 1000], start).tolist()) == {-1}
    assert table.find(keys).tolist() == list(range(20_000))
    assert 34 * 20_000 <= table.num_bytes <= 67 * 20_000
