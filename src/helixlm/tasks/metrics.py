"""Scores of a classifier over a whole test set, and intervals for them by resampling.

Comes in: true labels and the probability of each class. Goes out: MCC, accuracy, macro F1 and
AUROC, once over all rows (a mean over batches is another number: the MCC of a batch with one
class is zero), with percentile intervals from a bootstrap over rows and training seeds.

`score` is scikit-learn's word. `weighted_scores` computes the same for thousands of resamples
at once, each given as how often every row was drawn.

Shape letters: N rows, C classes, R resamples, S training seeds.
"""

import math
from typing import Generic, Literal, NamedTuple, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef, roc_auc_score

from helixlm.rng import CounterRng

Metric = Literal["mcc", "accuracy", "macro_f1", "auroc"]
METRICS: tuple[Metric, ...] = get_args(Metric)

Value = TypeVar("Value")

_CELLS_AT_ONCE = 2**22
"""Resamples times rows held at a time: 32 MB of float64, a few times over."""


class Scores(NamedTuple, Generic[Value]):
    """What a classifier achieves: numbers, arrays over resamples, or estimates."""

    mcc: Value
    """Matthews correlation, -1 to 1; 0 for a constant prediction."""
    accuracy: Value
    """Share of the rows that are right."""
    macro_f1: Value
    """Mean over the classes of the harmonic mean of precision and recall; classes that are
    neither true nor predicted anywhere are left out."""
    auroc: Value
    """Probability that a row of a class has more of that class than a row of another; mean over
    classes against the rest if there are more than two. NaN if the rows are all of one class."""


class Estimate(NamedTuple):
    """A value with the interval that it was found in."""

    value: float
    low: float
    high: float


def score(labels_N: NDArray[np.int64], probabilities_NC: NDArray[np.floating]) -> Scores[float]:
    """Score predictions over the whole set.

    Parameters
    ----------
    labels_N : ndarray, int64, shape (N,)
        True classes, 0 to C-1.
    probabilities_NC : ndarray, float, shape (N, C)
        Probability of each class; the predicted class is the most probable one, the first of
        equals.

    Returns
    -------
    Scores
        Four numbers. With more than two classes, AUROC is the mean over those that occur in
        `labels_N`.

    References
    ----------
    Gorodkin (2004), Comput. Biol. Chem. 28:367 (MCC of more than two classes).
    """
    predicted_N = probabilities_NC.argmax(1)
    present = np.unique(labels_N)
    if len(present) < 2:
        auroc = math.nan
    elif probabilities_NC.shape[1] == 2:
        auroc = float(roc_auc_score(labels_N, probabilities_NC[:, 1]))
    else:
        auroc = float(
            np.mean([roc_auc_score(labels_N == c, probabilities_NC[:, c]) for c in present])
        )
    # One cell in the confusion matrix: scikit-learn warns, and the MCC is 0 by definition.
    constant = len(np.union1d(present, predicted_N)) == 1
    return Scores(
        mcc=0.0 if constant else float(matthews_corrcoef(labels_N, predicted_N)),
        accuracy=float(accuracy_score(labels_N, predicted_N)),
        macro_f1=float(f1_score(labels_N, predicted_N, average="macro", zero_division=0)),
        auroc=auroc,
    )


def weighted_scores(
    labels_N: NDArray[np.int64],
    probabilities_NC: NDArray[np.floating],
    weights_RN: NDArray[np.floating],
) -> Scores[NDArray[np.float64]]:
    """Score predictions on many resamples of the rows at once.

    Parameters
    ----------
    labels_N, probabilities_NC : ndarray
        As in `score`.
    weights_RN : ndarray, float, shape (R, N)
        How often each row stands in each resample.

    Returns
    -------
    Scores
        Arrays, float64, shape (R,).
    """
    num_classes = probabilities_NC.shape[1]
    cell_N = labels_N * num_classes + probabilities_NC.argmax(1)
    cells_NK = np.equal.outer(cell_N, np.arange(num_classes**2)).astype(np.float64)
    confusion_RCC = (weights_RN @ cells_NK).reshape(-1, num_classes, num_classes)
    total_R = confusion_RCC.sum((1, 2))
    right_R = np.trace(confusion_RCC, axis1=1, axis2=2)
    true_RC, predicted_RC = confusion_RCC.sum(2), confusion_RCC.sum(1)
    hits_RC = np.diagonal(confusion_RCC, axis1=1, axis2=2)
    covariance_R = right_R * total_R - (true_RC * predicted_RC).sum(1)
    spread_R = (total_R**2 - (true_RC**2).sum(1)) * (total_R**2 - (predicted_RC**2).sum(1))
    size_RC = true_RC + predicted_RC
    with np.errstate(invalid="ignore", divide="ignore"):
        mcc_R = np.where(spread_R > 0, covariance_R / np.sqrt(spread_R), 0.0)
        f1_RC = np.where(size_RC > 0, 2 * hits_RC / size_RC, 0.0)
    return Scores(
        mcc=mcc_R,
        accuracy=right_R / total_R,
        macro_f1=f1_RC.sum(1) / (size_RC > 0).sum(1),
        auroc=_weighted_auroc(labels_N, probabilities_NC, weights_RN),
    )


def _weighted_auroc(
    labels_N: NDArray[np.int64],
    probabilities_NC: NDArray[np.floating],
    weights_RN: NDArray[np.floating],
) -> NDArray[np.float64]:
    """Return the AUROC of each resample, float64, shape (R,)."""
    num_classes = probabilities_NC.shape[1]
    areas = []
    for c in [1] if num_classes == 2 else range(num_classes):
        # Rows in ascending order of the score; equal scores share one rank.
        _, rank_N = np.unique(probabilities_NC[:, c], return_inverse=True)
        order = np.argsort(rank_N, kind="stable")
        starts = np.flatnonzero(np.diff(rank_N[order], prepend=-1))
        positive_N = labels_N[order] == c
        sorted_RN = weights_RN[:, order]
        positive_RK = np.add.reduceat(sorted_RN * positive_N, starts, axis=1)
        negative_RK = np.add.reduceat(sorted_RN * ~positive_N, starts, axis=1)
        below_RK = negative_RK.cumsum(1) - negative_RK / 2  # ties count one half
        pairs_R = positive_RK.sum(1) * negative_RK.sum(1)
        with np.errstate(invalid="ignore"):
            areas.append((positive_RK * below_RK).sum(1) / pairs_R)
    stacked_KR = np.stack(areas)
    occurs_KR = ~np.isnan(stacked_KR)
    with np.errstate(invalid="ignore"):
        return np.where(occurs_KR, stacked_KR, 0.0).sum(0) / occurs_KR.sum(0)


def bootstrap_intervals(
    labels_N: NDArray[np.int64],
    probabilities_SNC: NDArray[np.floating],
    *,
    against_SNC: NDArray[np.floating] | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Scores[Estimate]:
    """Estimate the scores of a method, or its lead over another, with percentile intervals.

    The value is the mean over training seeds of the score on all rows. A resample draws N of the
    N test rows with replacement (the same rows for every seed and for both methods, which is
    what makes the difference paired) and, for each method, S of its S seeds with replacement.
    So the interval says how far the value would move with other test rows and other training
    seeds; with one seed, with other rows only. With few seeds their part is underestimated.

    Parameters
    ----------
    labels_N : ndarray, int64, shape (N,)
        True classes of the test rows.
    probabilities_SNC : ndarray, float, shape (S, N, C)
        Class probabilities of a method, one layer for each training seed.
    against_SNC : ndarray, float, shape (S', N, C), optional
        The same of a second method, which is subtracted; the number of seeds may differ.
    level : float
        Share of the resamples inside the interval.
    resamples : int
        How many resamples to draw.
    seed : int
        Which resamples; the same seed gives the same rows for every pair of methods.

    Returns
    -------
    Scores of Estimate
        Value, lower and upper bound of each score. Resamples on which a score is not defined
        (AUROC when only one class was drawn) are left out.

    References
    ----------
    Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapters 8 and 13.
    """
    methods = [probabilities_SNC] if against_SNC is None else [probabilities_SNC, against_SNC]
    assert all(block.shape[1] == len(labels_N) for block in methods), "rows differ"
    resampled = [[np.zeros((len(block), resamples)) for block in methods] for _ in METRICS]
    num_rows = len(labels_N)
    rng = CounterRng("bootstrap-rows", seed)
    step = max(1, _CELLS_AT_ONCE // num_rows)
    for start in range(0, resamples, step):
        weights_RN = _draw_rows(rng, min(step, resamples - start), num_rows)
        for m, block in enumerate(methods):
            for s, probabilities_NC in enumerate(block):
                scores = weighted_scores(labels_N, probabilities_NC, weights_RN)
                for k, values_R in enumerate(scores):
                    resampled[k][m][s, start : start + step] = values_R
    sign = (1, -1)
    draws_KR = np.zeros((len(METRICS), resamples))
    value_K = np.zeros(len(METRICS))
    for m, block in enumerate(methods):
        size = (len(block), resamples)
        picked_SR = CounterRng("bootstrap-seeds", seed, m).integers(0, len(block), math.prod(size))
        value_K += sign[m] * np.mean([score(labels_N, layer) for layer in block], axis=0)
        for k in range(len(METRICS)):
            values_SR = np.take_along_axis(resampled[k][m], picked_SR.reshape(size), axis=0)
            draws_KR[k] += sign[m] * values_SR.mean(0)
    tail = (1 - level) / 2
    estimates = []
    for value, draws_R in zip(value_K.tolist(), draws_KR, strict=True):
        defined = draws_R[~np.isnan(draws_R)]
        bounds = np.quantile(defined, [tail, 1 - tail]).tolist() if len(defined) else [math.nan] * 2
        estimates.append(Estimate(value, *bounds))
    return Scores(*estimates)


def _draw_rows(rng: CounterRng, resamples: int, num_rows: int) -> NDArray[np.float64]:
    """Return how often each row is drawn, float64, shape (resamples, num_rows)."""
    rows = rng.integers(0, num_rows, resamples * num_rows).reshape(resamples, num_rows)
    cell = rows + num_rows * np.arange(resamples)[:, None]
    counts = np.bincount(cell.ravel(), minlength=cell.size)
    return counts.reshape(resamples, num_rows).astype(np.float64)
