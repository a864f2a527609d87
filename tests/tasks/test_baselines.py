"""k-mers counted by hand and slowly; logistic regression against scikit-learn's own pipeline."""

import logging
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from helixlm.tasks import baselines
from helixlm.tasks.baselines import count_kmers, fit_kmer, majority
from helixlm.tasks.data import LabelledSequences, read_task
from helixlm.tasks.metrics import score


def labelled(sequences, labels, num_classes=2):
    return LabelledSequences(
        list(sequences),
        np.array(labels),
        tuple(str(i) for i in range(num_classes)),
        np.arange(len(labels)) + 2,
        Path("t.csv"),
    )


def test_majority():
    train = labelled("ACGTA", [0, 1, 1, 1, 0], 3)
    found = majority(train, 2)
    assert found.tolist() == [[0.4, 0.6, 0.0]] * 2
    scores = score(np.array([1, 0, 1]), majority(train, 3))
    assert (scores.mcc, scores.auroc) == (0.0, 0.5)


def test_counts_by_hand():
    counts = count_kmers(["acgta", "AANAA", "GT", "T"], 2).toarray()
    names = [a + b for a in "ACGT" for b in "ACGT"]
    found = [{n: c for n, c in zip(names, row, strict=True) if c} for row in counts.tolist()]
    assert found == [{"AC": 1, "CG": 1, "GT": 1, "TA": 1}, {"AA": 2}, {"GT": 1}, {}]


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.text("ACGTNRacgtn", max_size=20), min_size=1, max_size=6),
    st.integers(1, 4),
    st.sampled_from([5, 10**6]),
)
def test_counts_are_those_of_a_loop(sequences, k, at_once):
    before = baselines._LETTERS_AT_ONCE
    baselines._LETTERS_AT_ONCE = at_once
    try:
        found = count_kmers(sequences, k).toarray()
    finally:
        baselines._LETTERS_AT_ONCE = before
    expected = np.zeros((len(sequences), 4**k))
    for row, sequence in enumerate(sequences):
        upper = sequence.upper()
        for i in range(len(upper) - k + 1):
            word = upper[i : i + k]
            if set(word) <= set("ACGT"):
                expected[row, int("".join(str("ACGT".index(x)) for x in word), 4)] += 1
    np.testing.assert_array_equal(found, expected)


def test_agrees_with_a_scikit_learn_pipeline(files):
    task = read_task(**files)
    seen = []
    model = fit_kmer(
        task.train,
        task.dev,
        words_bp=[2],
        strengths=[1.0],
        progress=lambda done, total: seen.append((done, total)),
    )
    assert (model.k_bp, model.strength) == (2, 1.0)
    assert seen == [(1, 2), (2, 2)]
    pipeline = make_pipeline(
        CountVectorizer(analyzer="char", ngram_range=(2, 2)), MaxAbsScaler(), LogisticRegression()
    ).fit(task.train.sequences, task.train.labels)
    expected = pipeline.predict_proba(task.test.sequences)
    np.testing.assert_allclose(model.predict(task.test.sequences), expected, atol=2e-3)
    assert model.dev == score(task.dev.labels, model.predict(task.dev.sequences))
    assert score(task.test.labels, expected).mcc > 0.5


def test_the_choice_is_the_best_on_dev(files):
    task = read_task(**files)
    grid = {(k, c) for k in (1, 3) for c in (0.01, 1.0)}
    alone = {
        (k, c): fit_kmer(task.train, task.dev, words_bp=[k], strengths=[c]).dev.mcc for k, c in grid
    }
    best = fit_kmer(task.train, task.dev, words_bp=(1, 3), strengths=(0.01, 1.0))
    assert alone[best.k_bp, best.strength] == max(alone.values())
    assert best.dev.mcc == max(alone.values())


def test_the_same_twice(files):
    task = read_task(**files)
    first, second = (fit_kmer(task.train, task.dev, words_bp=[2, 3]) for _ in range(2))
    assert np.array_equal(first.predict(task.test.sequences), second.predict(task.test.sequences))


def test_a_class_that_train_lacks_gets_no_probability():
    train = labelled(["AAAA", "CCCC", "AAAC", "CCCA"], [0, 2, 0, 2], 3)
    model = fit_kmer(train, train, words_bp=[1])
    found = model.predict(["AAAA", "CCCC"])
    assert found[:, 1].tolist() == [0, 0]
    assert found.argmax(1).tolist() == [0, 2]


def test_choosing_on_a_part_of_train(files, monkeypatch):
    task = read_task(**files)
    monkeypatch.setattr(baselines, "SELECTION_ROWS", 50)
    part = fit_kmer(task.train, task.dev, words_bp=[1], strengths=[1.0])
    monkeypatch.undo()
    whole = fit_kmer(task.train, task.dev, words_bp=[1], strengths=[1.0])
    np.testing.assert_array_equal(part.classifier.coef_, whole.classifier.coef_)
    rare = labelled([*("A" * i for i in range(2, 60)), "C"], [0] * 58 + [1])
    monkeypatch.setattr(baselines, "SELECTION_ROWS", 1)
    assert fit_kmer(rare, rare, words_bp=[1]).predict(["C"]).shape == (1, 2)


def test_a_fit_that_does_not_converge_is_said(files, monkeypatch, caplog):
    task = read_task(**files)
    monkeypatch.setattr(baselines, "MAX_ITERATIONS", 2)
    with caplog.at_level(logging.INFO):
        fit_kmer(task.train, task.dev, words_bp=[3], strengths=[10.0])
    assert "k = 3, C = 10 stopped before it converged" in caplog.text
