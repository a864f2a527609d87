"""From a run folder, and fine-tuning results if there are any, to `report.html`.

This is where measured numbers become the plain data that `helixlm.report` shows.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from helixlm.data.corpus.base import Corpus, open_corpus
from helixlm.data.similarity.leaks import check_leaks
from helixlm.data.windows import DROP_REASONS
from helixlm.inference import LoadedModel, load, masked_probabilities
from helixlm.models.heads import MaskedLM
from helixlm.recipes.load import load_recipe
from helixlm.recipes.schema import Recipe
from helixlm.report.facts import (
    DataFacts,
    Feature,
    FinetuneFacts,
    Interval,
    MaskedExample,
    MaskedToken,
    MethodScore,
    ModelFacts,
    RunReport,
    SourceFile,
    TaskFacts,
    TokenizerFacts,
    TrainingFacts,
)
from helixlm.report.html import read_metrics, write_report
from helixlm.tasks.compare import Comparison
from helixlm.tasks.table import summarise
from helixlm.tokenizers.bpe_train import every_nth
from helixlm.tokenizers.report import tokenizer_report
from helixlm.train.masking import masked_share

EXAMPLE_BP = 300
SAMPLE_WINDOWS = 2000
METRIC = "mcc"


def write_run_report(
    run: str | Path,
    *,
    title: str = "",
    subtitle: str = "",
    comparisons: Sequence[Comparison] = (),
    examples: Sequence[MaskedExample] | None = None,
    commands: Sequence[str] = (),
    about: dict[str, str] | None = None,
) -> Path:
    """Write `report.html` of a finished pretraining run.

    Parameters
    ----------
    run : path
        The run's folder.
    title, subtitle : str
        Headline; by default the recipe's name and description.
    comparisons : sequence of Comparison
        Fine-tuning results to show.
    examples : sequence of MaskedExample, optional
        Stretches with masked predictions; by default one validation window.
    commands : sequence of str
        Command lines that repeat the run; by default those of a plain pretraining.
    about : dict of str, optional
        For each task, what is predicted.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    StateError
        If the folder does not hold a finished run.
    """
    run = Path(run)
    recipe = load_recipe(run / "recipe.yaml")
    summary = json.loads((run / "summary.json").read_text())
    loaded = load(run)
    corpus_path = run / "corpus" if (run / "corpus").exists() else Path(summary["corpus"])
    corpus = open_corpus(corpus_path) if corpus_path.exists() else None
    if examples is None:
        # Overlapping words spell each other: a hidden one is no question. Nor does a model that
        # predicts the next token fill one in.
        fills_in = isinstance(loaded.model, MaskedLM) and not loaded.tokenizer.overlap_bp
        examples = [_window_example(loaded, corpus)] if corpus is not None and fills_in else []
    report = RunReport(
        title=title or recipe.name,
        subtitle=subtitle or recipe.description,
        created=summary["written"],
        data=None if corpus is None else _data_facts(corpus),
        tokenizer=None if corpus is None else _tokenizer_facts(loaded, corpus),
        model=_model_facts(loaded, summary),
        training=_training_facts(recipe, summary, loaded.tokenizer.overlap_bp),
        curves=read_metrics(run / "metrics.jsonl"),
        finetune=_finetune_facts(comparisons, about or {}) if comparisons else None,
        examples=tuple(examples),
        recipe_yaml=(run / "recipe.yaml").read_text(),
        versions=summary["versions"],
        commands=tuple(commands) or _commands(recipe, corpus),
    )
    return write_report(report, run / "report.html")


def masked_example(
    loaded: LoadedModel,
    sequence: str,
    *,
    contig: str,
    start: int,
    title: str = "",
    features: Iterable[Feature] = (),
    held_out: bool | None = None,
) -> MaskedExample:
    """Hide each token of a stretch in turn and keep what the model expects there.

    Parameters
    ----------
    loaded : LoadedModel
        A masked language model.
    sequence : str
        The stretch.
    contig : str
        Where it lies.
    start : int
        Its first base on the contig.
    title : str
        What is to be seen.
    features : iterable of Feature
        What is known about it; those outside are left out.
    held_out : bool, optional
        Whether training never saw it.
    """
    found = masked_probabilities(loaded, sequence)
    texts = loaded.tokenizer.tokens
    tokens = tuple(
        MaskedToken(
            token=sequence[begin:end].upper(),
            start=start + begin,
            end=start + end,
            probability=float(probability),
            guess=texts[best],
            guess_probability=float(best_probability),
        )
        for begin, end, probability, best, best_probability in zip(
            found.starts.tolist(),
            found.ends.tolist(),
            found.probability,
            found.best_ids.tolist(),
            found.best_probability,
            strict=True,
        )
    )
    stop = start + len(sequence)
    return MaskedExample(
        contig=contig,
        start=start,
        end=stop,
        tokens=tokens,
        title=title,
        features=tuple(f for f in features if f.start < stop and f.end > start),
        held_out=held_out,
    )


def _window_example(loaded: LoadedModel, corpus: Corpus) -> MaskedExample:
    """Take the beginning of the first validation window."""
    window = next(iter(corpus.iter_windows("validation")))
    return masked_example(
        loaded,
        window.sequence[:EXAMPLE_BP],
        contig=window.contig,
        start=window.start,
        title="a stretch of the validation split",
        held_out=True,
    )


def _data_facts(corpus: Corpus) -> DataFacts:
    manifest = corpus.manifest
    train, validation = manifest.splits["train"], manifest.splits["validation"]
    return DataFacts(
        species=manifest.species,
        assembly=manifest.assembly,
        files=tuple(
            SourceFile(
                name=Path(file.path).name,
                sha256=file.sha256,
                bases=file.num_bases,
                contigs=file.num_contigs,
            )
            for file in manifest.inputs
        ),
        train_bases=train.num_bases,
        validation_bases=validation.num_bases,
        train_windows=train.num_windows,
        validation_windows=validation.num_windows,
        split_by=manifest.split.by,
        validation_contigs=manifest.validation_contigs,
        dropped_bases={
            DROP_REASONS.get(reason, reason): bases
            for reason, bases in manifest.dropped_bases.items()
            if bases
        },
        leak_check=str(check_leaks(corpus)).splitlines()[0],
        corpus_sha256=manifest.corpus_sha256,
    )


def _tokenizer_facts(loaded: LoadedModel, corpus: Corpus) -> TokenizerFacts:
    stride = max(1, corpus.num_windows("train") // SAMPLE_WINDOWS)
    found = tokenizer_report(loaded.tokenizer, every_nth(corpus.iter_sequences("train"), stride))
    return TokenizerFacts(
        kind=loaded.tokenizer.kind,
        vocab_size=found.vocab_size,
        sha256=found.sha256,
        bases_per_token=found.bases_per_token,
        measured_on=f"{found.num_sequences:,} training windows",
        vocabulary_lengths=found.vocabulary_lengths,
        text_lengths=found.text_lengths,
        frequent=tuple((text, share) for text, _, share in found.frequent()),
        unused_tokens=found.unused_tokens,
        unknown_share=found.unknown_share,
    )


def _model_facts(loaded: LoadedModel, summary: dict[str, Any]) -> ModelFacts:
    config = loaded.model.config
    return ModelFacts(
        parameters=summary["parameters"],
        family=config.family,
        layers=config.num_layers,
        hidden_size=config.hidden_size,
        heads=getattr(config, "num_heads", None),
        intermediate_size=config.intermediate_size,
        max_tokens=config.max_tokens,
    )


def _training_facts(recipe: Recipe, summary: dict[str, Any], overlap_bp: int) -> TrainingFacts:
    machine = summary["machine"]
    place = machine["gpu"] or f"{machine['processor']}, {machine['cores']} cores"
    return TrainingFacts(
        steps=summary["steps"],
        planned_steps=recipe.train.steps,
        best_step=summary["best_step"],
        tokens=summary["tokens"],
        epochs=summary["epochs"],
        seconds=summary["seconds"],
        tokens_per_step=recipe.batches.rows * recipe.batches.row_tokens,
        masked_share=_masked_share(recipe, overlap_bp),
        seed=recipe.seed,
        precision=recipe.train.precision,
        machine=place,
    )


def _masked_share(recipe: Recipe, overlap_bp: int) -> float | None:
    """Return the share of tokens that is hidden; None if the next token is asked for."""
    if recipe.masking is None:
        return None
    return masked_share(recipe.masking, overlap_bp)


def _finetune_facts(comparisons: Sequence[Comparison], about: dict[str, str]) -> FinetuneFacts:
    tasks = []
    for comparison in comparisons:
        intervals = {
            row.method: row
            for row in comparison.intervals
            if row.metric == METRIC and row.split == "test"
        }
        spreads = {
            row.method: row
            for row in summarise(comparison.rows)
            if row.metric == METRIC and row.split == "test"
        }
        gain = intervals.get("pretrained - scratch")
        name = comparison.rows[0].task
        tasks.append(
            TaskFacts(
                name=name,
                about=about.get(name, ""),
                scores=tuple(
                    MethodScore(
                        method=method,
                        score=_interval(intervals[method]),
                        sd=row.sd if row.num_seeds > 1 else None,
                        num_seeds=row.num_seeds,
                    )
                    for method, row in spreads.items()
                    if method in intervals
                ),
                gain=None if gain is None else _interval(gain),
                train_rows=comparison.num_rows["train"],
                dev_rows=comparison.num_rows["dev"],
                test_rows=comparison.num_rows["test"],
            )
        )
    first = comparisons[0].intervals[0]
    return FinetuneFacts(
        tasks=tuple(tasks),
        metric=METRIC,
        level=first.level,
        resamples=first.resamples,
        protocol="the checkpoint with the highest MCC on dev is scored once on test.",
    )


def _interval(row: Any) -> Interval:
    return Interval(value=row.value, low=row.low, high=row.high)


def _commands(recipe: Recipe, corpus: Corpus | None) -> tuple[str, ...]:
    if corpus is None:
        return ()
    first = corpus.manifest.sources[0]
    files = " ".join(
        file.path if first.kind == "dataset" else Path(file.path).name
        for file in corpus.manifest.inputs
    )
    if first.kind == "fasta" and corpus.manifest.seed == recipe.seed:
        return (f"helixlm pretrain --recipe recipe.yaml --fasta {files} -o RUN",)
    if first.kind == "dataset":
        files += f" --column {first.column}" if first.column else ""
        files += f" --dataset-split {first.dataset_split}"
    return (
        f"helixlm prepare --recipe recipe.yaml --set seed={corpus.manifest.seed} --{first.kind} "
        f"{files} -o CORPUS",
        "helixlm pretrain --recipe recipe.yaml --corpus CORPUS -o RUN",
    )
