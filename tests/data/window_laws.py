"""What the tests of windows share: random contigs, and small helpers that read results."""

import numpy as np
from hypothesis import strategies as st

from helixlm.data.windows import Window, cut

# Mostly sequence, some gaps, both cases, a few IUPAC letters.
contigs = st.lists(
    st.one_of(
        st.text("ACGTacgt", min_size=1, max_size=60),
        st.text("Nn", min_size=1, max_size=20),
        st.text("RYk", min_size=1, max_size=2),
    ),
    min_size=1,
    max_size=10,
).map("".join)


def codes(contig):
    return np.frombuffer(contig.encode(), np.uint8)


def cut_text(contig, config, *, seed=0, name="chr1", **more):
    """Windows and dropped stretches of a contig that is given as text."""
    return list(cut(codes(contig), name, config, seed, **more))


def windows_of(found):
    return [segment for segment in found if isinstance(segment, Window)]


def dropped_of(found):
    """Dropped stretches, as (start, end, reason)."""
    return [tuple(segment[1:]) for segment in found if not isinstance(segment, Window)]


def spans_of(found):
    return [(window.start, window.end) for window in windows_of(found)]
