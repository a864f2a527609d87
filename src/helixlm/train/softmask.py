"""Which tokens of a sequence are soft-masked.

Comes in: the ids of a sequence and its letters in their case. Goes out: a truth value a token.
Where these are kept for a whole store is said in `data/softmask.py`.
"""

import numpy as np
from numpy.typing import NDArray

from helixlm.tokenizers.base import Tokenizer, in_its_case


def softmasked(tokenizer: Tokenizer, ids: NDArray[np.integer], sequence: str) -> NDArray[np.bool_]:
    """Return for each token whether at least half of its letters are in lower case.

    Parameters
    ----------
    tokenizer : Tokenizer
        What encoded the sequence.
    ids : ndarray, int, shape (n,)
        Its tokens, without special ones; BPE dropout may have been at work.
    sequence : str
        Its letters.

    Returns
    -------
    ndarray, bool, shape (n,)

    Examples
    --------
    >>> from helixlm.tokenizers.kmer import nt_tokenizer
    >>> nt = nt_tokenizer(2)
    >>> softmasked(nt, nt.encode("ACGTACGTGTGTACGTAA"), "ACGTACgtgtgtAcgTAa").tolist()
    [False, True, True]
    """
    starts, ends = _borders(tokenizer, ids, sequence)
    letters = np.frombuffer(sequence.encode("ascii"), dtype=np.uint8)
    # Lower-case letters are those from "a" on.
    before = np.concatenate([[0], np.cumsum(letters >= ord("a"))])
    return np.asarray(2 * (before[ends] - before[starts]) >= ends - starts)


def _borders(
    tokenizer: Tokenizer, ids: NDArray[np.integer], sequence: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which letters [start, end) each token covers."""
    if tokenizer.overlap_bp:
        starts = np.arange(len(ids))
        return starts, starts + tokenizer.overlap_bp + 1
    lengths = tokenizer.token_bp[ids].astype(np.int64)
    ends = np.cumsum(lengths)
    if len(ends) and ends[-1] == len(sequence):
        return ends - lengths, ends
    # GENA-LM's gap is one token for a run of N of any length.
    found = tokenizer.encode_with_offsets(in_its_case(tokenizer, [sequence])[0])
    return found.starts, found.ends
