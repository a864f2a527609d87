"""What a run amounts to, in key figures and in plain words.

Comes in: a `RunReport`. Goes out: a few numbers, each with what it is to be compared with, and
sentences that draw only the conclusions that the numbers allow.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from helixlm.report.facts import FinetuneFacts, RunReport, TaskFacts
from helixlm.report.intervals import verdict
from helixlm.report.numerals import (
    count,
    digits_apart,
    duration,
    fixed,
    is_number,
    one_in,
    percent,
    setting,
    short,
)

METRICS = {
    "mcc": ("MCC", "Matthews correlation: 1 is perfect, 0 is what guessing gets, below 0 is worse"),
    "accuracy": ("accuracy", "the share of rows that are right"),
    "macro_f1": ("macro F1", "precision and recall in one number, averaged over the classes"),
    "auroc": (
        "AUROC",
        "the chance that a true case ranks above a false one; guessing gets 0.5",
    ),
}
"""Short name and meaning of each score."""

BASELINES = (("neighbour", "neighbours"), ("unigram", "single tokens"))
"""What is counted, and what that is called."""


class KeyFigure(NamedTuple):
    """A number at the top of the page."""

    name: str
    value: str
    unit: str
    note: str
    """What to compare it with, one thing a line."""


def best_validation(report: RunReport) -> Mapping[str, Any] | None:
    """Return the validation record of the model that was kept.

    That is the record of `TrainingFacts.best_step`, or else the one with the lowest loss; None if
    there is no validation with a finite loss.
    """
    records = [
        r for r in report.curves if r.get("kind") == "validation" and is_number(r.get("loss"))
    ]
    if report.training is not None and report.training.best_step is not None:
        chosen = [r for r in records if r.get("step") == report.training.best_step]
        records = chosen[-1:] or records
    return min(records, key=lambda r: r["loss"], default=None)


def key_figures(report: RunReport) -> list[KeyFigure]:
    """Choose up to six numbers that say what the run achieved."""
    figures = []
    record = best_validation(report)
    if record is not None:
        in_percent = _probabilities(record)
        figures += [
            KeyFigure(
                "Validation loss",
                fixed(record["loss"], 3),
                "nats per masked token",
                _beside(record, "loss", lambda x: fixed(x, 3)),
            ),
            KeyFigure(
                "Probability of the true token",
                in_percent(record["loss"]),
                one_in(math.exp(-record["loss"])),
                _beside(record, "loss", in_percent),
            ),
        ]
        if is_number(record.get("bits_per_base")):
            figures.append(
                KeyFigure(
                    "Bits per base",
                    fixed(record["bits_per_base"], 3),
                    "of the hidden tokens",
                    _beside(record, "bits_per_base", lambda x: fixed(x, 3)),
                )
            )
        if is_number(record.get("accuracy")):
            write = partial(percent, more=digits_apart(_with_baselines(record, "accuracy")))
            figures.append(
                KeyFigure(
                    "Masked tokens guessed right",
                    write(record["accuracy"]),
                    "with the first guess",
                    _beside(record, "accuracy", write),
                )
            )
    if report.finetune is not None:
        figures += _gain_figure(report.finetune)
    tokenizer = report.tokenizer
    if tokenizer is not None and is_number(tokenizer.bases_per_token):
        figures.append(
            KeyFigure(
                "Bases per token",
                fixed(tokenizer.bases_per_token, 2),
                "mean length of a token",
                f"vocabulary of {count(tokenizer.vocab_size)} tokens",
            )
        )
    return figures


def _with_baselines(record: Mapping[str, Any], what: str) -> list[float]:
    """Return a figure of the model and of the baselines that have it."""
    names = [what, *(f"{kind}_{what}" for kind, _ in BASELINES)]
    return [record[name] for name in names if is_number(record.get(name))]


def _probabilities(record: Mapping[str, Any]) -> Callable[[float], str]:
    """Return what writes losses as probabilities, so that the baselines' do not look like ours."""
    more = digits_apart(math.exp(-loss) for loss in _with_baselines(record, "loss"))
    return lambda loss: percent(math.exp(-loss), more)


def _beside(record: Mapping[str, Any], what: str, write: Callable[[float], str]) -> str:
    found = [
        f"{name} {write(record[f'{kind}_{what}'])}"
        for kind, name in BASELINES
        if is_number(record.get(f"{kind}_{what}"))
    ]
    return "\n".join(["by counting", *found]) if found else ""


def _gain_figure(facts: FinetuneFacts) -> list[KeyFigure]:
    gains = [task.gain for task in facts.tasks if task.gain is not None]
    metric = METRICS.get(facts.metric, (facts.metric, ""))[0]
    if len(gains) == 1:
        (gain,) = gains
        return [
            KeyFigure(
                "Gain from pretraining",
                fixed(gain.value, 3, sign=True),
                metric,
                f"{setting(facts.level)} interval {fixed(gain.low, 3, sign=True)} to "
                f"{fixed(gain.high, 3, sign=True)}",
            )
        ]
    if gains:
        better = sum(verdict(gain) == "better" for gain in gains)
        values = [gain.value for gain in gains if is_number(gain.value)]
        mean = sum(values) / len(values) if values else None
        return [
            KeyFigure(
                "Pretraining helps on",
                f"{better} of {len(gains)}",
                "tasks, by an interval above zero",
                f"mean gain {fixed(mean, 3, sign=True)} {metric}",
            )
        ]
    return []


def plain_words(report: RunReport) -> list[str]:
    """Say in a few sentences what was made and how good it is."""
    said = [_what(report), _learned(report)]
    if report.finetune is not None and report.finetune.tasks:
        said.append(_finetuned(report.finetune))
    return [sentence for sentence in said if sentence]


def _what(report: RunReport) -> str:
    model, data, training = report.model, report.data, report.training
    subject = "A DNA language model"
    if model is not None:
        subject += f" of {short(model.parameters)} parameters"
    if data is None and training is None:
        return f"{subject}." if model is not None else ""
    text = f"{subject} was trained to fill in hidden tokens"
    if data is not None and data.species:
        text += f" of the genome of {data.species}"
    if data is not None:
        text += f" ({short(data.train_bases, 'bp')} for training)"
    if training is not None:
        text += f": {count(training.steps)} steps"
        if training.tokens is not None:
            text += f", {short(training.tokens)} tokens"
        if training.seconds is not None:
            text += f", {duration(training.seconds)}"
    return text + "."


def _learned(report: RunReport) -> str:
    record = best_validation(report)
    if record is None:
        return ""
    loss = record["loss"]
    in_percent = _probabilities(record)
    text = (
        f"On DNA that was held out, it typically gives the true token a probability of "
        f"{in_percent(loss)} ({one_in(math.exp(-loss))}). "
    )
    unigram, neighbour = record.get("unigram_loss"), record.get("neighbour_loss")
    if not (is_number(unigram) and is_number(neighbour)):
        return text.rstrip()
    text += (
        f"Counting which token stands between which neighbours gives "
        f"{in_percent(neighbour)}, counting single tokens {in_percent(unigram)}: "
    )
    error = record.get("neighbour_difference_error")
    if is_number(error) and abs(loss - neighbour) < 2 * error:
        text += (
            "the model knows as much as counting neighbours teaches; the difference is too small "
            "to be told from chance."
        )
    elif loss < min(unigram, neighbour):
        text += "the model has learned more than counting can teach."
    elif loss < unigram:
        text += (
            "the model knows more than how often each token occurs, but counting neighbours is "
            "still better. More steps, or more data, may change that."
        )
    else:
        text += "the model has not yet learned more than counting."
    return text


def _finetuned(facts: FinetuneFacts) -> str:
    metric, meaning = METRICS.get(facts.metric, (facts.metric, ""))
    tasks = [task for task in facts.tasks if task.gain is not None]
    level = setting(facts.level)
    if not tasks:
        return ""
    if len(tasks) == 1:
        (task,) = tasks
        assert task.gain is not None
        gain = task.gain
        ending = {
            "better": "so pretraining helps here.",
            "worse": "so pretraining hurts here.",
            "unclear": "which includes zero, so no gain is shown.",
        }[verdict(gain)]
        text = (
            f"Fine-tuned on {task.name}, it differs from the same network without pretraining by "
            f"{fixed(gain.value, 3, sign=True)} {metric} ({level} interval "
            f"{fixed(gain.low, 3, sign=True)} to {fixed(gain.high, 3, sign=True)}), {ending}"
        )
    else:
        verdicts = [verdict(task.gain) for task in tasks if task.gain is not None]
        outcomes = [
            f"{words} {verdicts.count(kind)}"
            for kind, words in (
                ("better", "helps on"),
                ("worse", "hurts on"),
                ("unclear", "makes no clear difference on"),
            )
            if kind in verdicts
        ]
        text = (
            f"Fine-tuned on {len(tasks)} tasks, pretraining {_listed(outcomes)} "
            f"({level} intervals)."
        )
    pairs = [pair for task in tasks if (pair := _beside_kmers(task))]
    if pairs:
        above = sum(pretrained > kmers for pretrained, kmers in pairs)
        text += (
            f" It scores higher than a logistic regression on k-mer counts on {above} of "
            f"{len(pairs)} tasks."
            if len(pairs) > 1
            else f" A logistic regression on k-mer counts gets {fixed(pairs[0][1], 3)}, the "
            f"pretrained model {fixed(pairs[0][0], 3)}."
        )
    return text + (f" ({metric}: {meaning}.)" if meaning else "")


def _listed(parts: list[str]) -> str:
    return ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1]


def _beside_kmers(task: TaskFacts) -> tuple[float, float] | None:
    values = {s.method: s.score.value for s in task.scores if is_number(s.score.value)}
    if "pretrained" in values and "kmer" in values:
        return values["pretrained"], values["kmer"]
    return None
