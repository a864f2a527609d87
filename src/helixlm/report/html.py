"""One self-contained HTML page about a run.

Comes in: a `RunReport` (`helixlm.report.facts`). Goes out: a page that needs no network and no
script, follows the reader's light or dark setting, fits a phone and prints. The page is also
well-formed XML, and its own content policy forbids scripts and anything from outside, so a
species name or a path cannot bring either in. Every section is there exactly if its facts are.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from helixlm.files import replace_file
from helixlm.report.facts import DataFacts, FinetuneFacts, RunReport, TaskFacts, TokenizerFacts
from helixlm.report.figures import Reference, Series, curve_chart, length_chart
from helixlm.report.intervals import METHODS, gain_chart, score_chart, score_range, verdict
from helixlm.report.numerals import (
    brief_hash,
    count,
    duration,
    fixed,
    is_number,
    one_in,
    percent,
    setting,
    short,
)
from helixlm.report.summary import METRICS, best_validation, key_figures, plain_words
from helixlm.report.svg import clean, tick_labels
from helixlm.report.track import STEPS, build_track
from helixlm.train.metrics import read_lines
from helixlm.version import __version__

Record = Mapping[str, Any]

MAX_ROWS = 60
"""Rows of a table of numbers; of more, evenly spaced ones are shown."""

_BASELINES = (
    ("neighbour", "neighbours", "c-neighbour"),
    ("unigram", "single tokens", "c-unigram"),
)


def read_metrics(path: str | Path) -> tuple[Record, ...]:
    """Read the records of a metrics.jsonl, for `RunReport.curves`.

    Parameters
    ----------
    path : str or Path
        The file. If it is not there, there are no records; a last line that was cut short is left
        out.

    Returns
    -------
    tuple of dict
        The records in order.

    Raises
    ------
    StateError
        If another line is no JSON.
    """
    return tuple(read_lines(Path(path)))


def write_report(report: RunReport, path: str | Path) -> Path:
    """Write the page, whole or not at all.

    Parameters
    ----------
    report : RunReport
        What to say.
    path : str or Path
        The file; its folder is made if it is not there.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    StateError
        If it cannot be written; what was there before stays.
    """
    path = Path(path)
    page = render_report(report)
    with replace_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")
    return path


def render_report(report: RunReport) -> str:
    """Return the page as text.

    Parameters
    ----------
    report : RunReport
        What to say.

    Returns
    -------
    str
        HTML that is well-formed XML too; characters that XML cannot hold are replaced.
    """
    template = environment().get_template("report.html.j2")
    facts = report.finetune if report.finetune and report.finetune.tasks else None
    page = template.render(
        report=report,
        version=__version__,
        figures=key_figures(report),
        words=plain_words(report),
        best=best_validation(report),
        data_bar=_data_bar(report.data) if report.data else (),
        curves=_curves(report),
        tokens=_token_chart(report.tokenizer) if report.tokenizer else None,
        finetune=_finetune(facts) if facts else None,
        tracks=[build_track(example) for example in report.examples],
        track_steps=_step_names(),
    )
    return page + "\n"


@functools.cache
def environment() -> Environment:
    """Return what renders the templates: it escapes, and knows how to write numbers."""
    environment = Environment(
        loader=PackageLoader("helixlm.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    for write in (brief_hash, count, duration, fixed, one_in, percent, setting, short):
        environment.filters[write.__name__] = write
    environment.filters["probability"] = _probability
    environment.filters["capitalize_first"] = lambda text: text[:1].upper() + text[1:]
    return environment


def _probability(loss: float | None) -> float | None:
    """Return the typical probability of the true token, e^-loss."""
    return math.exp(-loss) if is_number(loss) else None


def _finalize(value: object) -> object:
    """Remove what XML cannot hold from a value before it is escaped."""
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _data_bar(data: DataFacts) -> list[tuple[str, str, int]]:
    """Return (name, class, bases) of the parts of the genome, those with any bases."""
    parts = [
        ("training", "train", data.train_bases),
        ("validation", "validation", data.validation_bases),
        ("not used", "dropped", sum(data.dropped_bases.values())),
    ]
    return [part for part in parts if part[2] > 0]


def _curves(report: RunReport) -> dict[str, Any] | None:
    """Return the charts of the training and the table beside them; None without records."""
    placed = [r for r in report.curves if is_number(r.get("step"))]
    train = [r for r in placed if r.get("kind") == "train"]
    checks = [r for r in placed if r.get("kind") == "validation"]
    if not train and not checks:
        return None
    loss: dict[str, Any] = {
        "series": _series("loss", train, checks),
        "references": _references("loss", checks),
        "title": "Loss during training",
        "about": _about_curve("loss", train, checks),
        "y_name": "loss, nats per masked token",
    }
    charts = [
        curve_chart(
            _series("bits_per_base", train, checks),
            _references("bits_per_base", checks),
            key="bits",
            title="Bits per base during training",
            about=_about_curve("bits_per_base", train, checks),
            y_name="bits per base",
        ),
        curve_chart(
            _series("accuracy", [], checks),
            _references("accuracy", checks),
            key="accuracy",
            title="Masked tokens guessed right",
            about=_about_curve("accuracy", [], checks, percent),
            y_name="masked tokens guessed right",
            from_zero=True,
            write=percent,
            ticks=percent_ticks,
        ),
    ]
    machine = [
        curve_chart(
            [Series(name=label, points=_points(name, train), css="c-machine")],
            key=key,
            title=title,
            about=f"{title}, over the steps of the training.",
            y_name=title,
            size=(320, 190),
            from_zero=True,
            write=write,
            ticks=ticks,
        )
        for name, key, label, title, write, ticks in (
            ("lr", "rate", "last", "learning rate", _brief, tick_labels),
            ("tokens_per_second", "speed", "last", "tokens per second", count, tick_labels),
            ("grad_norm", "norm", "last", "gradient norm", fixed, tick_labels),
        )
    ]
    return {
        "wide": curve_chart(**loss, key="loss-wide", size=(840, 350)),
        "narrow": curve_chart(**loss, key="loss-narrow", size=(360, 300)),
        "charts": [chart for chart in charts if chart],
        "machine": [chart for chart in machine if chart],
        "checks": _thin_rows(checks),
        "num_checks": len(checks),
        "last_train": train[-1] if train else None,
    }


def _points(name: str, records: Sequence[Record]) -> list[tuple[float, float]]:
    return [(r["step"], r[name]) for r in records if is_number(r.get(name))]


def _series(name: str, train: Sequence[Record], checks: Sequence[Record]) -> list[Series]:
    return [
        Series(name="training", points=_points(name, train), css="c-train"),
        Series(name="validation", points=_points(name, checks), css="c-validation", dots=True),
    ]


def _references(name: str, checks: Sequence[Record]) -> list[Reference]:
    """Return the newest value of each baseline."""
    found = []
    for kind, label, css in _BASELINES:
        values = [r[f"{kind}_{name}"] for r in checks if is_number(r.get(f"{kind}_{name}"))]
        if values:
            found.append(Reference(label, values[-1], css))
    return found


def _about_curve(
    name: str, train: Sequence[Record], checks: Sequence[Record], write: Any = fixed
) -> str:
    """Say the ends of the curves and the references in words, for who cannot see them."""
    parts = []
    for series in _series(name, train, checks):
        if series.points:
            (first, before), (last, after) = series.points[0], series.points[-1]
            parts.append(
                f"{series.name} from {write(before)} at step {first:g} to {write(after)} at step "
                f"{last:g}"
            )
    parts += [f"counting {r.name} {write(r.value)}" for r in _references(name, checks)]
    return "; ".join(parts).capitalize() + "." if parts else ""


def percent_ticks(values: Sequence[float]) -> list[str]:
    """Write the ticks of an axis of shares in percent."""
    return [f"{text} %" for text in tick_labels([round(100 * v, 9) for v in values])]


def _brief(value: float) -> str:
    return f"{value:.2g}"


def _thin_rows(records: Sequence[Record]) -> list[Record]:
    """Choose evenly spaced records, first and last among them."""
    if len(records) <= MAX_ROWS:
        return list(records)
    last = len(records) - 1
    return [records[round(k * last / (MAX_ROWS - 1))] for k in range(MAX_ROWS)]


def _token_chart(tokenizer: TokenizerFacts) -> Markup:
    if max([*tokenizer.text_lengths, *tokenizer.vocabulary_lengths], default=1) == 1:
        return Markup("")  # a bar at 1 says nothing
    return length_chart(
        tokenizer.text_lengths,
        tokenizer.vocabulary_lengths,
        key="lengths",
        title="How long tokens are",
        about="Share of tokens by their length in bases, in the text and in the vocabulary.",
    )


def _finetune(facts: FinetuneFacts) -> dict[str, Any]:
    """Return the charts and the table of the fine-tuning section."""
    metric, meaning = METRICS.get(facts.metric, (facts.metric, ""))
    bounds = score_range([s for task in facts.tasks for s in task.scores])
    found = dict.fromkeys(s.method for task in facts.tasks for s in task.scores)
    methods = [m for m in METHODS if m in found] + [m for m in found if m not in METHODS]
    gains = [(task.name, task.gain) for task in facts.tasks if task.gain is not None]
    about = f"Difference in {metric}, pretrained minus from scratch, with intervals: " + "; ".join(
        f"{name} {fixed(gain.value, 3, sign=True)}" for name, gain in gains
    )
    gain: dict[str, Any] = {
        "title": "What pretraining adds",
        "about": about,
        "metric": f"{metric}, pretrained \N{MINUS SIGN} from scratch",
    }
    return {
        "facts": facts,
        "metric": metric,
        "level": setting(facts.level),
        "meaning": meaning,
        "methods": [(m, METHODS.get(m, m)) for m in methods],
        "rows": [_task_row(task, methods) for task in facts.tasks],
        "charts": [
            score_chart(
                task.scores,
                key=f"task-{number}",
                title=f"Scores on {task.name}",
                about=f"{metric} of each method: "
                + "; ".join(
                    f"{METHODS.get(s.method, s.method)} {fixed(s.score.value, 3)}"
                    for s in task.scores
                ),
                bounds=bounds,
                metric=metric,
                width=320,
            )
            for number, task in enumerate(facts.tasks)
        ],
        "gain_wide": gain_chart(gains, key="gain-wide", size=840, **gain),
        "gain_narrow": gain_chart(gains, key="gain-narrow", size=320, **gain),
    }


def _task_row(task: TaskFacts, methods: Sequence[str]) -> dict[str, Any]:
    by_method = {s.method: s for s in task.scores}
    values = [s.score.value for s in task.scores if is_number(s.score.value)]
    return {
        "task": task,
        "scores": [by_method.get(method) for method in methods],
        "best": max(values, default=math.nan),
        "verdict": verdict(task.gain) if task.gain else "",
    }


def _step_names() -> list[str]:
    """Name the colour steps of the track, in percent."""
    bounds = [f"{100 * bound:g}" for bound in STEPS]
    return [
        f"below {bounds[0]} %",
        *(f"{a}\N{EN DASH}{b} %" for a, b in pairwise(bounds)),
        f"{bounds[-1]} % and more",
    ]
