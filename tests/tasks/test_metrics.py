"""Scores against hand-worked values and scikit-learn; intervals against their definition."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from helixlm.rng import CounterRng
from helixlm.tasks.metrics import METRICS, bootstrap_intervals, score, weighted_scores


def make(num_rows, num_classes, seed, *, coarse=False):
    """Labels and probabilities that agree more often than by chance."""
    rng = CounterRng("test-metrics", num_rows, num_classes, seed)
    labels = rng.integers(0, num_classes, num_rows)
    weights = rng.uniform(num_rows * num_classes).reshape(num_rows, num_classes) + 0.1
    if coarse:  # many ties
        weights = np.ceil(weights * 2)
    weights[np.arange(num_rows), labels] += 0.5 * rng.uniform(num_rows)
    if coarse:
        weights = np.ceil(weights)
    return labels, weights / weights.sum(1, keepdims=True)


def test_known_values():
    # True 1 1 1 0 0; predicted 1 1 0 0 1: TP 2, TN 1, FP 1, FN 1.
    labels = np.array([1, 1, 1, 0, 0])
    p1 = np.array([0.9, 0.8, 0.4, 0.3, 0.6])
    scores = score(labels, np.stack([1 - p1, p1], 1))
    assert scores.mcc == pytest.approx((2 * 1 - 1 * 1) / math.sqrt(3 * 3 * 2 * 2))
    assert scores.accuracy == pytest.approx(3 / 5)
    assert scores.macro_f1 == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert scores.auroc == pytest.approx(5 / 6)  # of 6 pairs only (0.4, 0.6) is in wrong order


def test_constant_predictions():
    labels = np.array([0, 0, 1])
    same = np.tile([0.7, 0.3], (3, 1))
    assert score(labels, same) == (0.0, pytest.approx(2 / 3), pytest.approx(0.4), 0.5)
    one_class = score(labels[:2], same[:2])
    assert one_class[:3] == (0.0, 1.0, 1.0)
    assert math.isnan(one_class.auroc)


@pytest.mark.parametrize("num_classes", [2, 3, 5])
def test_agrees_with_scikit_learn(num_classes):
    labels, probabilities = make(200, num_classes, 0)
    predicted = probabilities.argmax(1)
    auroc = (
        sk.roc_auc_score(labels, probabilities[:, 1])
        if num_classes == 2
        else sk.roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
    )
    assert score(labels, probabilities) == pytest.approx(
        (
            sk.matthews_corrcoef(labels, predicted),
            sk.accuracy_score(labels, predicted),
            sk.f1_score(labels, predicted, average="macro"),
            auroc,
        )
    )


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 30), st.integers(2, 4), st.integers(0, 9), st.booleans(), st.integers(0, 10**6)
)
def test_resamples_score_as_the_rows_they_stand_for(num_rows, num_classes, seed, coarse, draw):
    labels, probabilities = make(num_rows, num_classes, seed, coarse=coarse)
    rows = CounterRng("draw", draw).integers(0, num_rows, 3 * num_rows).reshape(3, num_rows)
    weights = np.stack([np.bincount(row, minlength=num_rows) for row in rows]).astype(float)
    found = np.stack(weighted_scores(labels, probabilities, weights), 1)
    expected = [score(labels[row], probabilities[row]) for row in rows]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_order_of_rows_and_names_of_classes_change_nothing():
    labels, probabilities = make(60, 3, 1)
    order = CounterRng("order").permutation(60)
    renamed = np.array([2, 0, 1])
    np.testing.assert_allclose(
        score(labels, probabilities),
        score(renamed[labels[order]], probabilities[order][:, np.argsort(renamed)]),
    )


def test_interval_of_accuracy_is_that_of_a_binomial():
    # Accuracy resampled over rows is a binomial share with p = 0.8: its quantiles are known.
    labels = np.zeros(100, dtype=np.int64)
    p0 = np.where(np.arange(100) < 80, 0.9, 0.1)
    estimate = bootstrap_intervals(labels, np.stack([p0, 1 - p0], 1)[None], resamples=20_000)
    assert estimate.accuracy == pytest.approx((0.80, 0.72, 0.87), abs=0.0101)
    assert math.isnan(estimate.auroc.low)  # never defined: there is one class


def slow_bootstrap(labels, methods, resamples, level, seed):
    """The two-level paired bootstrap as its definition reads, with numpy's own generator."""
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(resamples):
        rows = rng.integers(0, len(labels), len(labels))
        means = [
            np.mean(
                [
                    # The MCC of two classes is Pearson's correlation of truth and prediction.
                    np.corrcoef(labels[rows], layers[s][rows].argmax(1))[0, 1]
                    for s in rng.integers(0, len(layers), len(layers))
                ]
            )
            for layers in methods
        ]
        draws.append(means[0] - means[1])
    return np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])


def test_paired_difference_agrees_with_the_slow_definition():
    labels, good = make(300, 2, 3)
    better = np.stack([good + 0.3 * np.eye(2)[labels] * (i + 1) for i in range(2)])
    worse = np.stack([good, good[:, ::-1] * 0.3 + good * 0.7, good])
    estimate = bootstrap_intervals(labels, better, against_SNC=worse, level=0.9, resamples=4000)
    slow = slow_bootstrap(labels, [better, worse], 600, 0.9, 0)
    np.testing.assert_allclose(estimate.mcc[1:], slow, atol=0.04)
    expected = np.mean([score(labels, x).mcc for x in better]) - np.mean(
        [score(labels, x).mcc for x in worse]
    )
    assert estimate.mcc.value == pytest.approx(expected)
    assert estimate.mcc.low < estimate.mcc.value < estimate.mcc.high


def test_a_method_against_itself_differs_by_nothing():
    labels, probabilities = make(80, 3, 4)
    estimates = bootstrap_intervals(labels, probabilities[None], against_SNC=probabilities[None])
    assert {name: tuple(getattr(estimates, name)) for name in METRICS} == dict.fromkeys(
        METRICS, (0.0, 0.0, 0.0)
    )


def test_pieces_change_nothing(monkeypatch):
    labels, probabilities = make(50, 3, 5)
    whole = bootstrap_intervals(labels, probabilities[None], resamples=100)
    monkeypatch.setattr("helixlm.tasks.metrics._CELLS_AT_ONCE", 333)
    assert bootstrap_intervals(labels, probabilities[None], resamples=100) == whole
    assert bootstrap_intervals(labels, probabilities[None], resamples=100, seed=1) != whole


def test_seeds_that_differ_widen_the_interval():
    labels, probabilities = make(100, 2, 6)
    same = np.stack([probabilities] * 3)
    mixed = np.stack([probabilities, probabilities[:, ::-1], probabilities])
    narrow, wide = (bootstrap_intervals(labels, x).mcc for x in (same, mixed))
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
