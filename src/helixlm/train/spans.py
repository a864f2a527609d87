"""Which tokens are hidden where not each is drawn alone: runs and spans.

Comes in: stretches of tokens that may be hidden, and a stream of random numbers. Goes out: the
hidden ones. What the model is shown in their place is told in `masking.py`.

Overlapping words spell each other: word i covers the bases i to i + k - 1, so a base is out of
sight only if all words over it are hidden. Hence whole runs of k are hidden, and where runs meet or
overlap they are one. At the edge of a stretch (the end of a document, or an unknown word, which
spells nothing) a run is cut, and hides the bases there that no word outside the run covers.

Every position starts a span with the same probability p, those before the first token included, so
that the share of hidden tokens is the same everywhere, also at edges. Let S_m be the probability
that a span is longer than m tokens. Then a token is hidden with probability

    rate = 1 - (1 - p S_0) (1 - p S_1) (1 - p S_2) ...

which is solved for p; for runs of k tokens it is DNABERT's 1 - (1 - p)^k.

Shape letters: L tokens in a row, M tokens of the longest span.

References
----------
Ji et al. (2021), DNABERT; jerryji1993/DNABERT, ``examples/run_pretrain.py``, `mask_tokens`.
Joshi et al. (2020), SpanBERT, section 3.1: lengths drawn from a geometric distribution with p 0.2,
cut at 10 (a mean of 3.8), and one draw of mask, random or unchanged for a whole span.
"""

import math

import numpy as np
from numpy.typing import NDArray

from helixlm.rng import CounterRng

_HALVINGS = 60


def run_survival(num_tokens: int) -> NDArray[np.float64]:
    """Return S_m of runs that all have so many tokens, float64, shape (M,)."""
    return np.ones(num_tokens)


def uniform_survival(longest: int) -> NDArray[np.float64]:
    """Return S_m of lengths that are uniform from 1 to `longest`, float64, shape (M,)."""
    return 1.0 - np.arange(longest) / longest


def geometric_survival(mean: float, longest: int) -> NDArray[np.float64]:
    """Return S_m of lengths that are geometric from 1 to `longest`, float64, shape (M,).

    Parameters
    ----------
    mean : float
        Mean length after the cut, in tokens; between 1 and that of uniform lengths.
    longest : int
        Longest span; the probabilities up to it are scaled to a sum of 1, as in SpanBERT.

    Examples
    --------
    SpanBERT's lengths, each 0.8 times as likely as the one before:

    >>> geometric_survival(3.797, 10).round(2).tolist()
    [1.0, 0.78, 0.6, 0.45, 0.34, 0.25, 0.17, 0.11, 0.07, 0.03]
    """

    def survival(ratio: float) -> NDArray[np.float64]:
        weights = np.cumprod(np.full(longest, ratio)) / ratio
        return np.cumsum(weights[::-1])[::-1] / weights.sum()

    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        # The mean of a length is the sum of S_m.
        low, high = (middle, high) if survival(middle).sum() < mean else (low, middle)
    return survival(high)


def coverage(survival_M: NDArray[np.float64], start: float) -> float:
    """Return the share of tokens that is hidden if every position starts a span with `start`."""
    return 1.0 - math.prod(1.0 - start * s for s in survival_M.tolist())


def start_rate(survival_M: NDArray[np.float64], rate: float) -> float:
    """Return the probability of a span to start, for a wanted share of hidden tokens.

    Examples
    --------
    The rates of DNABERT's centres that hide 15 % with 3-mers and 6-mers:

    >>> [round(start_rate(run_survival(k), 0.15), 5) for k in (3, 6)]
    [0.05273, 0.02672]
    """
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if coverage(survival_M, middle) < rate else (low, middle)
    return high


def count_variance(survival_M: NDArray[np.float64], start: float) -> float:
    """Return the variance of the number of hidden tokens, per token of a long stretch.

    Tokens i and i + d are both shown if no span from up to i reaches i, and none from behind i
    reaches i + d; so with u = 1 - rate their covariance is u (1 - p S_0) ... (1 - p S_(d-1)) - u^2.
    """
    free_M = np.cumprod(1.0 - start * survival_M)  # no span from the last m + 1 positions
    shown = float(free_M[-1])
    return shown * (1.0 - shown) + 2.0 * float((shown * free_M[:-1] - shown**2).sum())


def find_stretches(
    maskable_L: NDArray[np.bool_], document_L: NDArray[np.integer] | None
) -> list[tuple[int, int]]:
    """Return where tokens that may be hidden follow each other in one document: [start, stop)."""
    border_L = np.append(True, maskable_L[1:] != maskable_L[:-1])
    if document_L is not None:
        border_L[1:] |= document_L[1:] != document_L[:-1]
    starts = np.flatnonzero(border_L)
    stops = np.append(starts[1:], len(maskable_L))
    pairs = zip(starts.tolist(), stops.tolist(), strict=True)
    return [(start, stop) for start, stop in pairs if maskable_L[start]]


def draw_spans(
    num_tokens: int, survival_M: NDArray[np.float64], start: float, rng: CounterRng
) -> NDArray[np.bool_]:
    """Return which tokens of a stretch are hidden.

    Parameters
    ----------
    num_tokens : int
        Tokens of the stretch.
    survival_M : ndarray, float64, shape (M,)
        S_m of the lengths.
    start : float
        Probability of a span at each position, see `start_rate`.
    rng : CounterRng
        The stream of the row.

    Returns
    -------
    ndarray, bool, shape (num_tokens,)
    """
    before = len(survival_M) - 1
    first = np.flatnonzero(rng.uniform(num_tokens + before) < start) - before
    draw = rng.uniform(len(first))
    lengths = (draw[:, None] < survival_M).sum(1)
    return _cover(num_tokens, first, first + lengths)


def draw_centres(num_tokens: int, k: int, rate: float, rng: CounterRng) -> NDArray[np.bool_]:
    """Return which tokens of a stretch are hidden by runs of k around centres drawn at `rate`.

    Only tokens of the stretch are centres, as published, so edges are hidden less often.
    """
    centre = np.flatnonzero(rng.uniform(num_tokens) < rate)
    return _cover(num_tokens, centre - (k - 1) // 2, centre + k // 2 + 1)


def published_runs(
    centre_C: NDArray[np.integer], last: int, k: int, num_tokens: int
) -> NDArray[np.bool_]:
    """Return which tokens of a row the published DNABERT hides for given centres.

    A centre hides itself and its neighbours at the offsets of `MASK_LIST`: with k of 3 to 6
    from (k - 1) // 2 before it to k // 2 behind it, as far as these lie from position 1 to `last`;
    whether they are special tokens is not asked.

    Parameters
    ----------
    centre_C : ndarray, int
        Positions of the centres.
    last : int
        Last position of the row that is neither special nor padding.
    k : int
        Letters of a word.
    num_tokens : int
        Tokens of the row.
    """
    first_C = np.maximum(centre_C - (k - 1) // 2, 1)
    hidden_L = _cover(num_tokens, first_C, np.minimum(centre_C + k // 2, last) + 1)
    hidden_L[centre_C] = True
    return hidden_L


def _cover(
    num_tokens: int, first: NDArray[np.integer], stop: NDArray[np.integer]
) -> NDArray[np.bool_]:
    """Return which positions lie in one of the spans [first, stop), as far as these are inside."""
    steps = np.zeros(num_tokens + 1, dtype=np.int64)
    np.add.at(steps, np.clip(first, 0, num_tokens), 1)
    np.add.at(steps, np.clip(stop, 0, num_tokens), -1)
    return np.cumsum(steps)[:num_tokens] > 0


def number_runs(hidden_K: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return for each hidden position, ascending, the number of the run that it lies in."""
    return np.cumsum(np.diff(hidden_K, prepend=hidden_K[:1]) > 1)
