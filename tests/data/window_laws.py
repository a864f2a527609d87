"""What the tests of windows share: random contigs, and small helpers that read results."""

import numpy as np
from hypothesis import strategies as st

from helixlm.data.windows import Window, cut

_LETTERS = {"sequence": ("ACGTacgt", 90), "gap": ("Nn", 20), "iupac": ("RYk", 2)}


def _spell(parts):
    text = ""
    for kind, size, seed in parts:
        letters, longest = _LETTERS[kind]
        picks = np.random.RandomState(seed).randint(len(letters), size=1 + size % longest)
        text += "".join(letters[pick] for pick in picks)
    return text


# Mostly sequence, some gaps, both cases, a few IUPAC letters; hundreds of bases.
contigs = st.lists(
    st.tuples(
        st.sampled_from(["sequence", "sequence", "gap", "iupac"]),
        st.integers(0, 89),
        st.integers(0, 999),
    ),
    min_size=1,
    max_size=16,
).map(_spell)


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
