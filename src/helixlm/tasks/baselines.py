"""What any language model must beat: the class frequencies, and k-mer logistic regression.

Comes in: sequences and labels. Goes out: probabilities of the classes, as from a neural
classifier, so that all are scored by the same code. Word length and regularisation are chosen on
dev; nothing here draws a random number.

Shape letters: N sequences, C classes, K k-mers.
"""

import itertools
import logging
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from helixlm.seq.alphabet import DNA
from helixlm.tasks.data import LabelledSequences
from helixlm.tasks.metrics import Scores, score

logger = logging.getLogger(__name__)

WORD_BP = (3, 4, 5, 6)
"""k-mer lengths that are tried, in bases."""
STRENGTHS = (0.01, 0.1, 1.0, 10.0)
"""Inverse regularisation strengths (scikit-learn's C) that are tried."""
SELECTION_ROWS = 10_000
"""Training rows used to choose among them, at most: 16 fits, then one on all rows."""
MAX_ITERATIONS = 500
_LETTERS_AT_ONCE = 2_000_000


class KmerModel(NamedTuple):
    """A fitted k-mer logistic regression."""

    k_bp: int
    """Length of the k-mers."""
    strength: float
    """scikit-learn's C."""
    scale_K: NDArray[np.float64]
    """What the count of each k-mer is multiplied by, shape (4**k,)."""
    classifier: LogisticRegression
    num_labels: int
    dev: Scores[float]
    """Scores on dev."""

    def predict(self, sequences: Sequence[str]) -> NDArray[np.float64]:
        """Return class probabilities, float64, shape (N, C)."""
        return _probabilities(self.classifier, sequences, self.k_bp, self.scale_K, self.num_labels)


def majority(train: LabelledSequences, count: int) -> NDArray[np.float64]:
    """Give every sequence the class frequencies of the training file.

    Parameters
    ----------
    train : LabelledSequences
        The training examples.
    count : int
        How many sequences to predict.

    Returns
    -------
    ndarray, float64, shape (count, C)
        Equal rows.
    """
    share_C = np.bincount(train.labels, minlength=len(train.label_names)) / len(train.labels)
    return np.tile(share_C, (count, 1))


def count_kmers(sequences: Sequence[str], k_bp: int) -> sparse.csr_array:
    """Count the k-mers of each sequence on its forward strand.

    Lower case counts as upper case. A k-mer with a letter other than A, C, G and T is left out.

    Parameters
    ----------
    sequences : sequence of str, length N
        DNA in IUPAC letters.
    k_bp : int
        Length of the k-mers, 1 to 12.

    Returns
    -------
    scipy.sparse.csr_array, float64, shape (N, 4**k)
        Counts; column ``sum(code * 4**(k - 1 - i))`` holds the k-mer with those codes (A 0, C 1,
        G 2, T 3), so columns are in alphabetical order.

    Examples
    --------
    >>> count_kmers(["ACNACG"], 2).nonzero()[1].tolist()  # AC twice, CG once
    [1, 6]
    """
    assert 1 <= k_bp <= 12, k_bp
    blocks = []
    start = 0
    while start < len(sequences):
        stop, letters = start, 0
        while stop < len(sequences) and (stop == start or letters < _LETTERS_AT_ONCE):
            letters += len(sequences[stop])
            stop += 1
        blocks.append(_count_block(sequences[start:stop], k_bp))
        start = stop
    return sparse.csr_array(sparse.vstack(blocks, format="csr"))


def _count_block(sequences: Sequence[str], k_bp: int) -> sparse.csr_array:
    # An N between neighbours keeps k-mers from crossing from one sequence into the next.
    codes = DNA.encode("N".join(sequences) + "N" * k_bp).astype(np.int64)
    num_kmers = len(codes) - k_bp + 1
    kmer = np.zeros(num_kmers, dtype=np.int64)
    clean = np.ones(num_kmers, dtype=bool)
    for i in range(k_bp):
        kmer = kmer * 4 + codes[i : i + num_kmers]
        clean &= codes[i : i + num_kmers] < 4
    lengths = np.array([len(sequence) + 1 for sequence in sequences])
    lengths[-1] += num_kmers - lengths.sum()
    row = np.repeat(np.arange(len(sequences)), lengths)
    ones = np.ones(int(clean.sum()))
    shape = (len(sequences), 4**k_bp)
    return sparse.csr_array(sparse.coo_array((ones, (row[clean], kmer[clean])), shape=shape))


def fit_kmer(
    train: LabelledSequences,
    dev: LabelledSequences,
    *,
    words_bp: Sequence[int] = WORD_BP,
    strengths: Sequence[float] = STRENGTHS,
    progress: Callable[[int, int | None], None] | None = None,
) -> KmerModel:
    """Fit a logistic regression on k-mer counts, with word length and strength chosen on dev.

    The counts of each k-mer are divided by their largest value in train, so that the strength
    means the same for short and long words. Every pair of word length and strength is fitted on
    at most `SELECTION_ROWS` rows of train (evenly spaced over the file); the pair with the
    highest MCC on dev is fitted again on all of train. Of equals the one with the lower log loss on
    dev is taken, then the shorter and more regularised one.

    Parameters
    ----------
    train, dev : LabelledSequences
        Examples to fit on and to choose with.
    words_bp : sequence of int
        k-mer lengths to try.
    strengths : sequence of float
        scikit-learn's C, to try.
    progress : callable, optional
        Called with (fits done, fits in all).

    Returns
    -------
    KmerModel
        The chosen model, fitted on train alone.
    """
    rows = np.unique(
        np.linspace(0, len(train.labels) - 1, SELECTION_ROWS).astype(np.int64)
        if len(train.labels) > SELECTION_ROWS
        else np.arange(len(train.labels))
    )
    part = train.take(rows)
    if len(np.unique(part.labels)) < 2:  # a rare class that the spacing misses
        part = train
    classes = np.arange(len(train.label_names))
    best: tuple[tuple[float, float], int, float] | None = None
    total = len(words_bp) * len(strengths) + 1
    for done, (k_bp, strength) in enumerate(itertools.product(words_bp, strengths), start=1):
        classifier, scale_K = _fit(part, k_bp, strength)
        found_NC = _probabilities(classifier, dev.sequences, k_bp, scale_K, len(classes))
        loss = log_loss(dev.labels, found_NC, labels=classes)
        rank = (score(dev.labels, found_NC).mcc, -loss)
        if best is None or rank > best[0]:
            best = (rank, k_bp, strength)
        if progress:
            progress(done, total)
    assert best is not None, "nothing to try"
    _, k_bp, strength = best
    classifier, scale_K = _fit(train, k_bp, strength)
    dev_NC = _probabilities(classifier, dev.sequences, k_bp, scale_K, len(classes))
    if progress:
        progress(total, total)
    logger.info("k-mer baseline: k = %d, C = %g chosen on %s", k_bp, strength, dev.path)
    return KmerModel(k_bp, strength, scale_K, classifier, len(classes), score(dev.labels, dev_NC))


def _fit(
    data: LabelledSequences, k_bp: int, strength: float
) -> tuple[LogisticRegression, NDArray[np.float64]]:
    counts_NK = count_kmers(data.sequences, k_bp)
    largest_K = counts_NK.max(axis=0).toarray().ravel()
    scale_K = 1.0 / np.maximum(largest_K, 1.0)
    classifier = LogisticRegression(C=strength, max_iter=MAX_ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier.fit(counts_NK.multiply(scale_K).tocsr(), data.labels)
    if classifier.n_iter_.max() >= classifier.max_iter:
        logger.info("k-mer baseline: k = %d, C = %g stopped before it converged", k_bp, strength)
    return classifier, scale_K


def _probabilities(
    classifier: LogisticRegression,
    sequences: Sequence[str],
    k_bp: int,
    scale_K: NDArray[np.float64],
    num_labels: int,
) -> NDArray[np.float64]:
    counts_NK = count_kmers(sequences, k_bp)
    found_NC = np.zeros((len(sequences), num_labels))
    found_NC[:, classifier.classes_] = classifier.predict_proba(counts_NK.multiply(scale_K).tocsr())
    return found_NC
