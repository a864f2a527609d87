"""What the report concludes, checked against the numbers by hand."""

import dataclasses
import math

import pytest

from helixlm.report.facts import FinetuneFacts, Interval, MethodScore, RunReport, TaskFacts
from helixlm.report.summary import best_validation, key_figures, plain_words


def check(step, loss, unigram=5.9, neighbour=5.6):
    return {
        "kind": "validation",
        "step": step,
        "loss": loss,
        "accuracy": 0.07,
        "bits_per_base": 1.9,
        "unigram_loss": unigram,
        "neighbour_loss": neighbour,
    }


def make(*records, **rest):
    return RunReport(title="t", curves=records, **rest)


def task(name, low, high, kmer=None):
    value = (low + high) / 2
    scores = [("scratch", 0.5), ("pretrained", 0.5 + value)]
    scores += [] if kmer is None else [("kmer", kmer)]
    return TaskFacts(
        name=name,
        gain=Interval(value=value, low=low, high=high),
        scores=tuple(
            MethodScore(method=method, score=Interval(value=v, low=v - 0.1, high=v + 0.1))
            for method, v in scores
        ),
    )


def said_of(*tasks, **rest):
    return " ".join(plain_words(make(finetune=FinetuneFacts(tasks=tasks, **rest))))


def test_the_best_validation(sample_report):
    records = [check(0, 6.9), check(100, 5.3), check(200, 5.4), check(300, math.nan)]
    assert best_validation(make(*records))["step"] == 100
    training = dataclasses.replace(sample_report.training, best_step=200)
    assert best_validation(make(*records, training=training))["step"] == 200
    training = dataclasses.replace(sample_report.training, best_step=999)
    assert best_validation(make(*records, training=training))["step"] == 100
    assert best_validation(make({"kind": "train", "step": 1, "loss": 5.0})) is None


def test_key_figures_are_the_inputs():
    figures = {f.name: f for f in key_figures(make(check(100, math.log(200))))}
    assert figures["Validation loss"].value == "5.298"
    assert figures["Validation loss"].note == "by counting\nneighbours 5.600\nsingle tokens 5.900"
    probability = figures["Probability of the true token"]
    assert (probability.value, probability.unit) == ("0.50 %", "1 in 200")
    assert "neighbours 0.37 %" in probability.note  # e^-5.6
    assert figures["Bits per base"].value == "1.900"
    assert figures["Bits per base"].note == ""  # no baseline in bits was given
    assert figures["Masked tokens guessed right"].value == "7.0 %"
    assert key_figures(make()) == []


def test_six_figures_of_a_full_report(sample_report):
    figures = key_figures(sample_report)
    assert len(figures) == 6
    assert figures[4].value == "1 of 2"
    assert figures[4].note == "mean gain +0.065 MCC"  # (0.12 + 0.01) / 2
    assert figures[5].value == "4.18"


def test_the_figure_of_one_task():
    facts = FinetuneFacts(tasks=(task("promoter", 0.08, 0.16),))
    (figure,) = key_figures(make(finetune=facts))
    assert (figure.value, figure.unit) == ("+0.120", "MCC")
    assert figure.note == "95 % interval +0.080 to +0.160"


@pytest.mark.parametrize(
    ("loss", "conclusion"),
    [
        (5.3, "the model has learned more than counting can teach."),
        (5.6, "counting neighbours is still better"),
        (5.8, "counting neighbours is still better"),
        (5.9, "has not yet learned more than counting."),
        (6.9, "has not yet learned more than counting."),
    ],
)
def test_the_conclusion_follows_the_baselines(loss, conclusion):
    assert conclusion in plain_words(make(check(100, loss)))[0]


@pytest.mark.parametrize(
    ("difference", "error", "told_apart"),
    [(-0.02, 0.02, False), (0.02, 0.02, False), (-0.1, 0.02, True), (-0.02, 0.005, True)],
)
def test_a_difference_within_its_error_is_no_conclusion(difference, error, told_apart):
    record = {**check(100, 5.3), "neighbour_difference_error": error}
    record["loss"] = record["neighbour_loss"] + difference
    said = plain_words(make(record))[0]
    assert ("too small to be told from chance" in said) != told_apart


def test_the_baselines_are_said_as_probabilities():
    (sentence,) = plain_words(make(check(1, math.log(250), math.log(400), math.log(320))))
    assert sentence.startswith(
        "On DNA that was held out, it typically gives the true token a probability of 0.40 % "
        "(1 in 250). Counting which token stands between which neighbours gives 0.31 %, counting "
        "single tokens 0.25 %: "
    )


def test_a_baseline_that_is_near_does_not_look_the_same():
    """As in a demo: 2.586 and 2.592 nats are 7.53 % and 7.49 %."""
    record = {**check(1, 2.586, 2.893, 2.592), "neighbour_difference_error": 0.0027}
    record |= {"accuracy": 0.1201, "neighbour_accuracy": 0.1203, "unigram_accuracy": 0.1}
    (sentence,) = plain_words(make(record))
    assert "a probability of 7.53 % (1 in 13)" in sentence
    assert "gives 7.49 %, counting single tokens 5.54 %: the model has learned more" in sentence
    figures = {figure.name: figure for figure in key_figures(make(record))}
    probability = figures["Probability of the true token"]
    assert probability.value == "7.53 %"
    assert probability.note == "by counting\nneighbours 7.49 %\nsingle tokens 5.54 %"
    guessed = figures["Masked tokens guessed right"]
    assert guessed.value == "12.01 %"
    assert guessed.note == "by counting\nneighbours 12.03 %\nsingle tokens 10.00 %"
    same = dict.fromkeys(("loss", "unigram_loss", "neighbour_loss"), 2.5)
    assert "gives 8.2 %, counting single tokens 8.2 %" in plain_words(make({**record, **same}))[0]


def test_no_conclusion_without_baselines():
    record = {"kind": "validation", "step": 5, "loss": math.log(4)}
    (sentence,) = plain_words(make(record))
    assert sentence.endswith("a probability of 25.0 % (1 in 4.0).")


def test_a_clear_gain_an_unclear_one_and_a_loss():
    assert "so pretraining helps here." in said_of(task("a", 0.08, 0.16))
    assert "includes zero, so no gain is shown." in said_of(task("a", -0.02, 0.16))
    assert "so pretraining hurts here." in said_of(task("a", -0.2, -0.1))


def test_several_tasks_are_counted():
    text = said_of(
        task("a", 0.1, 0.2, kmer=0.6),
        task("b", 0.01, 0.2, kmer=0.9),
        task("c", -0.1, 0.1, kmer=0.4),
        task("d", -0.2, -0.1),
        level=0.9,
    )
    assert "helps on 2, hurts on 1 and makes no clear difference on 1 (90 % intervals)" in text
    assert "k-mer counts on 2 of 3 tasks" in text  # a: 0.65 > 0.6, b: 0.605 < 0.9, c: 0.5 > 0.4


def test_k_mers_are_named_even_where_they_win():
    text = said_of(task("a", 0.08, 0.16, kmer=0.9))
    assert "k-mer counts gets 0.900, the pretrained model 0.620" in text


def test_a_score_of_another_kind_keeps_its_name():
    assert "+0.120 kappa" in said_of(task("a", 0.08, 0.16), metric="kappa")
    assert "AUROC" in said_of(task("a", 0.08, 0.16), metric="auroc")


def test_nothing_known_nothing_said(sample_report):
    assert plain_words(make()) == []
    assert plain_words(make(finetune=FinetuneFacts(tasks=()))) == []
    no_gain = dataclasses.replace(task("a", 0.1, 0.2), gain=None)
    assert plain_words(make(finetune=FinetuneFacts(tasks=(no_gain,)))) == []
    assert key_figures(make(finetune=FinetuneFacts(tasks=(no_gain,)))) == []
    (what,) = plain_words(make(model=sample_report.model))
    assert what == "A DNA language model of 2.09 M parameters."


def test_what_was_trained(sample_report):
    assert plain_words(sample_report)[0] == (
        "A DNA language model of 2.09 M parameters was trained to fill in hidden tokens of the "
        "genome of Saccharomyces cerevisiae (9.84 Mbp for training): 2,000 steps, 8.19 M tokens, "
        "16 min 52 s."
    )
