"""Counts of windows add up, however the windows are shared out, and are those of their letters."""

from hypothesis import given, settings
from hypothesis import strategies as st

from helixlm.data.corpus.tally import Counting, total
from helixlm.data.windows import Window


def tally(texts):
    counting = Counting()
    for start, text in enumerate(texts):
        counting.add(Window("chr1", start, start + len(text), text), "chr1")
    return counting.tally()


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(st.text("ACGTacgtN", min_size=1, max_size=70)), max_size=4))
def test_the_parts_give_the_whole(parts):
    texts = [text for part in parts for text in part]
    found = total(map(tally, parts))
    assert found == tally(texts)
    assert (found.windows, found.bases) == (len(texts), sum(map(len, texts)))
    assert found.shortest_bp == min(map(len, texts), default=0)
    assert found.longest_bp == max(map(len, texts), default=0)
