"""Fill the numbers of the documentation from a finished demo.

Comes in: the folder of `helixlm demo`. Goes out: README.md and docs/*.md, in which the text between
`<!-- demo:NAME -->` and `<!-- /demo -->` is replaced by what the demo gave. Everything that a
change of the demo may change stands between such marks and nowhere else.

    python docs/update_numbers.py demo
"""

import csv
import json
import math
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from helixlm.data.corpus.base import Corpus, open_corpus
from helixlm.data.formats.fasta import iter_chunks
from helixlm.data.windows import TinyDnabertWindows, Window
from helixlm.inference import LoadedModel, load, masked_probabilities
from helixlm.pipeline.stages import vocabulary_of
from helixlm.recipes.load import load_recipe
from helixlm.recipes.schema import Recipe
from helixlm.rng import CounterRng
from helixlm.tokenizers.bpe_train import every_nth
from helixlm.tokenizers.report import TokenizerReport, tokenizer_report
from helixlm.train.masking import Masker

ROOT = Path(__file__).parents[1]
MARK = re.compile(r"(<!-- demo:(\w+) -->)(.*?)(<!-- /demo -->)", re.DOTALL)
METHODS = ("majority", "kmer", "scratch", "pretrained")
EXAMPLE_BP = 60
SHOWN_TOKENS = 14
GUESSES = 12


class Demo(NamedTuple):
    """What is read of a demo folder."""

    folder: Path
    recipe: Recipe
    summary: dict[str, Any]
    world: dict[str, Any]
    validations: list[dict[str, Any]]
    corpus: Corpus
    loaded: LoadedModel
    tokens: TokenizerReport
    window: Window
    """The first window of the validation split."""


def read_demo(folder: Path) -> Demo:
    """Read a finished demo."""
    run = folder / "run"
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    corpus, loaded = open_corpus(run / "corpus"), load(run)
    stride = max(1, corpus.num_windows("train") // 2000)
    return Demo(
        folder,
        load_recipe(run / "recipe.yaml"),
        json.loads((run / "summary.json").read_text()),
        json.loads((folder / "world" / "manifest.json").read_text()),
        [record for record in records if record["kind"] == "validation"],
        corpus,
        loaded,
        tokenizer_report(loaded.tokenizer, every_nth(corpus.iter_sequences("train"), stride)),
        next(iter(corpus.iter_windows("validation"))),
    )


def values(demo: Demo) -> dict[str, str]:
    """Return the text of every mark."""
    return {name: make(demo) for name, make in MARKS.items()}


def fill(text: str, found: dict[str, str]) -> str:
    """Replace what stands between marks.

    Raises
    ------
    KeyError
        If a mark is not known.
    """

    def replace(match: re.Match[str]) -> str:
        value = found[match[2]]
        around = "\n" if "\n" in value else ""
        return f"{match[1]}{around}{value}{around}{match[4]}"

    return MARK.sub(replace, text)


def pages() -> list[Path]:
    """Return the files that may hold marks."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def _best(demo: Demo) -> dict[str, Any]:
    """Return the validation of the exported checkpoint."""
    return next(v for v in demo.validations if v["step"] == demo.summary["best_step"])


def _fence(lines: Iterable[str]) -> str:
    return "\n".join(["```", *(line.rstrip() for line in lines), "```"])


def _table(header: list[str], rows: Iterable[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _fasta(demo: Demo) -> str:
    """Show where the gap at the start of the first contig ends, in lines of a FASTA file."""
    chunk = next(iter(iter_chunks(demo.folder / "world" / f"{demo.world['species'][0]}.fa")))
    first = len(chunk.sequence) - len(chunk.sequence.lstrip("N"))
    lower = re.search("[acgt]{20}", chunk.sequence)
    starts = [0, max(0, first - 30), *([lower.start() - 30] if lower else [])]
    shown = [f">{chunk.contig}"]
    for number, start in enumerate(starts):
        shown += (["..."] if number else []) + [chunk.sequence[start : start + EXAMPLE_BP]]
    return _fence([*shown, "..."])


def _window(demo: Demo) -> str:
    contig, start, end, sequence = demo.window[:4]
    return _fence(
        [
            f"contig {contig}, bases {start:,} to {end:,} ({end - start} bp)",
            f"{sequence[:EXAMPLE_BP]}...",
        ]
    )


def _merges(demo: Demo) -> str:
    tokens = demo.loaded.tokenizer.tokens
    found = [t for t in tokens if set(t) <= set("ACGT") and len(t) > 1]
    return _fence(["first:   " + " ".join(found[:14]), "last:    " + " ".join(found[-8:])])


def _tokenized(demo: Demo) -> str:
    tokenizer, sequence = demo.loaded.tokenizer, demo.window.sequence[:EXAMPLE_BP].upper()
    ids, starts, ends = tokenizer.encode_with_offsets(sequence)
    pieces = [sequence[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
    return _fence(
        [
            "bases   " + sequence,
            "tokens  " + " ".join(pieces),
            "ids     " + " ".join(str(i).ljust(len(p)) for i, p in zip(ids, pieces, strict=True)),
        ]
    )


def _masked(demo: Demo) -> str:
    """Show a draw in which all three kinds of hidden token occur."""
    tokenizer = demo.loaded.tokenizer
    ids = tokenizer.encode(demo.window.sequence)[:SHOWN_TOKENS]
    mask, masking = tokenizer.special.mask, demo.recipe.masking
    assert mask is not None, "the demo has a mask token"
    assert masking is not None, "the demo hides tokens"
    masker = Masker(masking, vocabulary_of(tokenizer))
    for draw in range(100_000):
        row = masker.mask(ids, CounterRng("tutorial", draw), rate=masking.rate)
        changed = {int(i): int(row.shown_L[i]) for i in row.hidden_K}
        kinds = [
            "mask" if shown == mask else "same" if shown == ids[i] else "other"
            for i, shown in changed.items()
        ]
        if sorted(kinds) == ["mask", "mask", "other", "same"]:
            break
    texts = tokenizer.tokens
    columns = []
    for i, true in enumerate(ids.tolist()):
        shown, asked = texts[row.shown_L[i]], texts[true] if i in changed else ""
        width = max(len(texts[true]), len(shown))
        columns.append([cell.ljust(width) for cell in (texts[true], shown, asked)])
    names = ("true", "shown", "asked")
    return _fence(
        f"{name:<7}" + " ".join(column[k] for column in columns) for k, name in enumerate(names)
    )


def _curve(demo: Demo) -> str:
    rows = [
        [
            f"{v['step']:,}",
            f"{v['loss']:.3f}",
            f"{math.exp(-v['loss']):.4f}",
            f"{v['bits_per_base']:.3f}",
            f"{v['accuracy']:.1%}",
        ]
        for v in demo.validations
    ]
    best = _best(demo)
    baselines = (("unigram", "*counting single tokens*"), ("neighbour", "*counting neighbours*"))
    for key, label in baselines:
        rows.append(
            [
                label,
                f"{best[f'{key}_loss']:.3f}",
                f"{math.exp(-best[f'{key}_loss']):.4f}",
                f"{best[f'{key}_bits_per_base']:.3f}",
                f"{best[f'{key}_accuracy']:.1%}",
            ]
        )
    return _table(["step", "loss, nats a token", "e^-loss", "bits per base", "right"], rows)


def _guesses(demo: Demo) -> str:
    sequence = demo.window.sequence[:300]
    found = masked_probabilities(demo.loaded, sequence)
    texts = demo.loaded.tokenizer.tokens
    middle = len(found.token_ids) // 2 - GUESSES // 2
    rows = [
        [
            f"{demo.window.start + int(found.starts[i]):,}",
            f"`{texts[found.token_ids[i]]}`",
            f"{found.probability[i]:.3f}",
            f"`{texts[found.best_ids[i]]}`",
            f"{found.best_probability[i]:.3f}",
        ]
        for i in range(middle, min(middle + GUESSES, len(found.token_ids)))
    ]
    return _table(["base", "hidden token", "probability given to it", "best guess", "its"], rows)


def _verdict_loss(demo: Demo) -> str:
    loss = demo.summary["validation_loss"]
    below = [
        name
        for name, key in (("single tokens", "unigram_loss"), ("neighbours", "neighbour_loss"))
        if loss < demo.summary[key]
    ]
    error = demo.summary["neighbour_difference_error"]
    if error is not None and abs(loss - demo.summary["neighbour_loss"]) < 2 * error:
        return (
            "Here the model and the count of neighbours cannot be told apart: their difference is "
            "within two standard errors."
        )
    if len(below) == 2:
        return "Here the model is below both: it has learned more than counting teaches."
    if below:
        return (
            "Here the model is below the first and above the second: it has not yet learned more "
            "than neighbours tell, and needs more steps."
        )
    return "Here the model is above both: it has learned less than counting tells in seconds."


def _intervals(demo: Demo, task: str) -> dict[str, dict[str, str]]:
    with (demo.folder / "tasks" / task / "intervals.csv").open() as file:
        return {row["method"]: row for row in csv.DictReader(file) if row["metric"] == "mcc"}


def _task_table(task: str) -> Callable[[Demo], str]:
    def make(demo: Demo) -> str:
        found = _intervals(demo, task)
        names = [m for m in METHODS if m in found] + [m for m in found if m not in METHODS]
        return _table(
            ["method", "MCC on test", "95 % interval"],
            [
                [
                    method,
                    f"{float(found[method]['value']):{'+' if ' - ' in method else ''}.3f}",
                    f"[{float(found[method]['low']):.3f}, {float(found[method]['high']):.3f}]",
                ]
                for method in names
            ],
        )

    return make


def _verdict_task(task: str) -> Callable[[Demo], str]:
    def make(demo: Demo) -> str:
        row = _intervals(demo, task)["pretrained - scratch"]
        value, low, high = (float(row[key]) for key in ("value", "low", "high"))
        shown = f"{value:+.3f} [{low:+.3f}, {high:+.3f}]"
        if low > 0:
            return f"Pretraining helps: {shown}, and the interval excludes zero."
        if high < 0:
            return f"Pretraining hurts: {shown}, and the interval excludes zero."
        return f"Pretraining makes no difference that can be seen: {shown}, which includes zero."

    return make


def _headline(demo: Demo) -> str:
    """Write what `helixlm demo` prints at the end."""
    s = demo.summary
    lines = [
        f"Pretraining: {s['validation_loss']:.3f} nats a masked token on held-out chromosomes; "
        f"counting single tokens gives {s['unigram_loss']:.3f}, counting neighbours "
        f"{s['neighbour_loss']:.3f} (difference "
        f"{s['validation_loss'] - s['neighbour_loss']:+.4f}, standard error "
        f"{s['neighbour_difference_error']:.4f})"
    ]
    for task in ("promoter", "splice_donor"):
        found = _intervals(demo, task)
        scores = ", ".join(f"{m} {float(found[m]['value']):.3f}" for m in METHODS if m in found)
        gain = {k: float(found["pretrained - scratch"][k]) for k in ("value", "low", "high")}
        lines.append(f"{task}: MCC {scores}")
        lines.append(
            f"  pretraining adds {gain['value']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}]"
            f" (95% interval)"
        )
    return _fence(lines)


def _split(name: str, key: str) -> Callable[[Demo], str]:
    return lambda demo: f"{getattr(demo.corpus.manifest.splits[name], key):,}"


def _count(name: str) -> Callable[[Demo], str]:
    return lambda demo: f"{demo.world['counts'][name]:,}"


def _dropped(reason: str) -> Callable[[Demo], str]:
    return lambda demo: f"{demo.corpus.manifest.dropped_bases[reason]:,}"


def _loss(key: str) -> Callable[[Demo], str]:
    return lambda demo: f"{_best(demo)[key]:.3f}"


def _probability(key: str) -> Callable[[Demo], str]:
    return lambda demo: f"{math.exp(-_best(demo)[key]):.4f}"


def _longest_window(config: TinyDnabertWindows) -> int:
    return config.max_bp - (config.upper_bound == "exclusive")


def _minutes(demo: Demo) -> str:
    seconds = demo.summary["seconds"]
    return f"{seconds:.0f} seconds" if seconds < 90 else f"{seconds / 60:.1f} minutes"


def _regular(demo: Demo) -> int:
    return demo.tokens.usable_tokens


MARKS: dict[str, Callable[[Demo], str]] = {
    "bases": _count("bases"),
    "genes": _count("genes"),
    "gap_bases": _dropped("gap"),
    "tail_bases": _dropped("tail"),
    "contigs": lambda d: str(len(d.world["split_of_contig"])),
    "held_out": lambda d: " and ".join(d.corpus.manifest.validation_contigs),
    "dev_contigs": lambda d: _contigs(d, "dev"),
    "test_contigs": lambda d: _contigs(d, "test"),
    "train_windows": _split("train", "num_windows"),
    "train_bases": _split("train", "num_bases"),
    "validation_windows": _split("validation", "num_windows"),
    "validation_bases": _split("validation", "num_bases"),
    "promoter_train": _count("promoter_train"),
    "promoter_test": _count("promoter_test"),
    "splice_donor_train": _count("splice_donor_train"),
    "splice_donor_test": _count("splice_donor_test"),
    "window_min": lambda d: f"{d.recipe.windows.min_bp:,}",
    "window_max": lambda d: f"{_longest_window(d.recipe.windows):,}",
    "fasta": _fasta,
    "window": _window,
    "vocabulary": lambda d: f"{d.loaded.tokenizer.vocab_size:,}",
    "regular_tokens": lambda d: f"{_regular(d):,}",
    "bases_per_token": lambda d: f"{d.tokens.bases_per_token:.2f}",
    "longest_token": lambda d: str(int(d.tokens.token_bp.max())),
    "merges": _merges,
    "tokenized": _tokenized,
    "masked_share": lambda d: f"{d.recipe.masking.rate:.0%}",
    "masked": _masked,
    "parameters": lambda d: f"{d.summary['parameters']:,}",
    "layers": lambda d: str(d.recipe.model.num_layers),
    "heads": lambda d: str(d.recipe.model.num_heads),
    "hidden_size": lambda d: str(d.recipe.model.hidden_size),
    "steps": lambda d: f"{d.summary['steps']:,}",
    "warmup_steps": lambda d: f"{d.recipe.train.warmup_steps:,}",
    "lr": lambda d: f"{d.recipe.train.lr:g}",
    "rows": lambda d: str(d.recipe.batches.rows),
    "row_tokens": lambda d: str(d.recipe.batches.row_tokens),
    "step_tokens": lambda d: f"{d.recipe.batches.rows * d.recipe.batches.row_tokens:,}",
    "checkpoint_every": lambda d: f"{d.recipe.train.checkpoint_every:,}",
    "validate_every": lambda d: f"{d.recipe.train.validate_every:,}",
    "trained_tokens": lambda d: f"{d.summary['tokens']:,}",
    "epochs": lambda d: f"{d.summary['epochs']:.1f}",
    "training_time": _minutes,
    "uniform_loss": lambda d: f"{math.log(_regular(d)):.3f}",
    "uniform_bits": lambda d: f"{math.log2(_regular(d)) / d.tokens.bases_per_token:.2f}",
    "validation_loss": _loss("loss"),
    "validation_probability": _probability("loss"),
    "validation_bits": _loss("bits_per_base"),
    "unigram_loss": _loss("unigram_loss"),
    "unigram_probability": _probability("unigram_loss"),
    "unigram_bits": _loss("unigram_bits_per_base"),
    "neighbour_loss": _loss("neighbour_loss"),
    "neighbour_bits": _loss("neighbour_bits_per_base"),
    "curve": _curve,
    "verdict_loss": _verdict_loss,
    "guesses": _guesses,
    "finetune_steps": lambda d: f"{d.recipe.finetune.max_steps:,}",
    "promoter": _task_table("promoter"),
    "splice_donor": _task_table("splice_donor"),
    "verdict_promoter": _verdict_task("promoter"),
    "verdict_splice_donor": _verdict_task("splice_donor"),
    "headline": _headline,
}


def _contigs(demo: Demo, split: str) -> str:
    return " and ".join(c for c, s in demo.world["split_of_contig"].items() if s == split)


def main(folder: Path) -> None:
    """Fill every page."""
    found = values(read_demo(folder))
    for page in pages():
        text = page.read_text()
        filled = fill(text, found)
        if filled != text:
            page.write_text(filled)
            sys.stdout.write(f"{page.relative_to(ROOT)}: filled\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python docs/update_numbers.py DEMO_FOLDER")
    main(Path(sys.argv[1]))
