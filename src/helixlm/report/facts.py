"""What a report says, as plain data: one dataclass a section, every section optional.

Comes in: numbers and words that the pipeline measured. Goes out: a `RunReport`, which
`helixlm.report.html` turns into a page. Nothing here knows how the numbers were obtained, and a
section that is None or empty is left out of the page. A number that is None or not finite is shown
as a dash.

Coordinates are 0-based and half-open. Losses are in nats per masked token.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """A file that the corpus was made from."""

    name: str
    """File name or path, as the reader of the report should see it."""
    sha256: str
    """Hash of the file's bytes, hexadecimal."""
    bases: int | None = None
    """Letters in all its contigs, bp."""
    contigs: int | None = None
    """How many contigs it holds."""


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """The corpus: what was read, and what was kept for validation."""

    species: str
    """Whose genome it is; empty if unknown."""
    assembly: str = ""
    """Name of the assembly; empty if unknown."""
    files: tuple[SourceFile, ...] = ()
    """The files that were read."""
    train_bases: int
    """Bases in the windows of the training split."""
    validation_bases: int
    """Bases in the windows of the validation split."""
    train_windows: int
    """Windows of the training split."""
    validation_windows: int
    """Windows of the validation split."""
    split_by: str = "contig"
    """What was held out: "contig" (whole contigs) or "block" (blocks spread over all contigs)."""
    validation_contigs: tuple[str, ...] = ()
    """The contigs that were held out as a whole."""
    dropped_bases: Mapping[str, int] = field(default_factory=dict)
    """Bases that are in no window, by reason in words."""
    leak_check: str = ""
    """Result of comparing both splits, in a sentence; empty if it was not done."""
    corpus_sha256: str = ""
    """Hash of the corpus, hexadecimal."""


@dataclass(frozen=True, kw_only=True)
class TokenizerFacts:
    """How sequences are cut into tokens."""

    kind: str
    """"bpe" or "char"."""
    vocab_size: int
    """Number of ids, special tokens counted."""
    sha256: str = ""
    """Hash of tokenizer.json, hexadecimal."""
    bases_per_token: float | None = None
    """Mean length of the tokens of a text, bp."""
    measured_on: str = ""
    """Which text `bases_per_token`, `text_lengths` and `frequent` are about, in words."""
    vocabulary_lengths: Mapping[int, int] = field(default_factory=dict)
    """Length in bp -> how many entries of the vocabulary have it, special tokens left out."""
    text_lengths: Mapping[int, int] = field(default_factory=dict)
    """Length in bp -> how many tokens of the text have it."""
    frequent: tuple[tuple[str, float], ...] = ()
    """The most frequent tokens of the text with their share (0 to 1) of its tokens."""
    unused_tokens: int | None = None
    """Entries of the vocabulary, special tokens left out, that the text never uses."""
    unknown_share: float | None = None
    """Share (0 to 1) of the text's tokens that stand for an unknown letter."""


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """The network."""

    parameters: int
    """Trainable numbers, tied weights counted once."""
    family: str = ""
    """"roberta" or "bert"."""
    layers: int | None = None
    hidden_size: int | None = None
    heads: int | None = None
    intermediate_size: int | None = None
    max_tokens: int | None = None
    """Longest input, tokens."""


@dataclass(frozen=True, kw_only=True)
class TrainingFacts:
    """The pretraining run; its curves are `RunReport.curves`."""

    steps: int
    """Optimiser steps that were taken."""
    planned_steps: int | None = None
    """Steps of the recipe, if the run stopped before them."""
    best_step: int | None = None
    """The step whose weights are in the model folder; by default the step with the lowest
    validation loss."""
    tokens: int | None = None
    """Tokens that the model was trained on, repeats counted."""
    epochs: float | None = None
    """How often it saw the training split."""
    seconds: float | None = None
    """Time of the training steps, s."""
    tokens_per_step: int | None = None
    """Tokens in one step, rows x tokens a row."""
    masked_share: float | None = None
    """Share (0 to 1) of the tokens that were asked for."""
    seed: int | None = None
    precision: str = ""
    """"float32" or "bf16"."""
    machine: str = ""
    """Processor or accelerator, cores, memory, in words."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A number with its bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class MethodScore:
    """What one method achieves on one task."""

    method: str
    """"majority", "kmer", "scratch", "pretrained", or another name, which is shown as it is."""
    score: Interval
    """Mean over the seeds, with its interval."""
    sd: float | None = None
    """Standard deviation over the seeds; None for one seed."""
    num_seeds: int = 1
    """Trainings that the mean is over; 1 where nothing is drawn."""


@dataclass(frozen=True, kw_only=True)
class TaskFacts:
    """One classification task."""

    name: str
    scores: tuple[MethodScore, ...]
    """In the order to show them: majority, kmer, scratch, pretrained."""
    gain: Interval | None = None
    """Pretrained minus scratch, from paired resamples."""
    about: str = ""
    """What is predicted, in a sentence."""
    train_rows: int | None = None
    dev_rows: int | None = None
    test_rows: int | None = None
    classes: int | None = None


@dataclass(frozen=True, kw_only=True)
class FinetuneFacts:
    """The results of fine-tuning."""

    tasks: tuple[TaskFacts, ...]
    metric: str = "mcc"
    """"mcc", "accuracy", "macro_f1" or "auroc": what every score is."""
    split: str = "test"
    """Which rows were scored."""
    level: float = 0.95
    """Share of the resamples inside an interval."""
    resamples: int | None = None
    """How many resamples."""
    protocol: str = ""
    """How hyper-parameters and the checkpoint were chosen, in words."""


@dataclass(frozen=True, kw_only=True)
class MaskedToken:
    """One token of an example, and what the model expects in its place when it is hidden."""

    token: str
    """The true token's text."""
    start: int
    end: int
    """Bases [start, end) of the contig."""
    probability: float | None = None
    """What the model gives the true token; None if it was not asked."""
    guess: str = ""
    """The token that the model finds most probable."""
    guess_probability: float | None = None


@dataclass(frozen=True, kw_only=True)
class Feature:
    """Something that is known about a stretch of an example."""

    name: str
    start: int
    end: int
    """Bases [start, end) of the contig."""
    strand: str = ""
    """"+" or "-"; empty if it has none."""


@dataclass(frozen=True, kw_only=True)
class MaskedExample:
    """A stretch of sequence whose tokens were hidden one after the other."""

    contig: str
    start: int
    end: int
    """Bases [start, end) of the contig."""
    tokens: tuple[MaskedToken, ...]
    title: str = ""
    """What is to be seen, such as "promoter of gene 12"; the place is shown beside it."""
    features: tuple[Feature, ...] = ()
    held_out: bool | None = None
    """Whether the stretch is of the validation split."""


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """Everything that a report shows."""

    title: str
    """Name of the run."""
    subtitle: str = ""
    """One sentence under it."""
    created: str = ""
    """Date, in words."""
    data: DataFacts | None = None
    tokenizer: TokenizerFacts | None = None
    model: ModelFacts | None = None
    training: TrainingFacts | None = None
    curves: tuple[Mapping[str, Any], ...] = ()
    """The records of metrics.jsonl, see `helixlm.report.html.read_metrics`."""
    finetune: FinetuneFacts | None = None
    examples: tuple[MaskedExample, ...] = ()
    recipe_yaml: str = ""
    """The resolved recipe."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Package -> version."""
    commands: tuple[str, ...] = ()
    """Command lines that repeat the run, in order."""
    notes: tuple[str, ...] = ()
    """What the reader should know besides: limits, warnings, what was skipped."""
