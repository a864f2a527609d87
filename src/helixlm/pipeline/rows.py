"""From a corpus and a tokenizer to the rows of a run: what is stored for them, and their plans.

Comes in: a recipe, its corpus and tokenizer. Goes out: the rows of training, of its stages and of
validation. In the run's folder: `store/`, or `letters/` where windows are drawn; `softmask/` where
soft-masked tokens have a weight; `counts/` where drawn rows come in the order of their tokens. Each
is skipped when it is done.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from helixlm.data.corpus.base import Corpus
from helixlm.data.folder import (
    MANIFEST,
    FileRecord,
    Manifest,
    check_files,
    file_sha256,
    new_folder,
    read_manifest,
    refuse_differences,
    write_manifest,
)
from helixlm.data.softmask import SoftmaskBits, write_softmask
from helixlm.data.store import TokenStore
from helixlm.pipeline.progress import Reporter
from helixlm.pipeline.stages import make_letters, make_store
from helixlm.recipes.schema import Recipe
from helixlm.tokenizers.base import Tokenizer
from helixlm.train.batches import BatchConfig, Plan, Stage, Vocabulary
from helixlm.train.drawn import DrawnRows
from helixlm.train.packing import RowPlan
from helixlm.train.softmask import softmasked
from helixlm.version import __version__

COUNTS_FILE = "train.npy"


class Rows(NamedTuple):
    """The rows of a run."""

    train: Plan
    validation: Plan
    stages: list[Stage]
    """Other rows of training in the first steps."""


class CountsManifest(Manifest):
    """What the tokens of drawn windows were counted of."""

    format: str = "helixlm window counts"
    format_version: int = 1
    helixlm_version: str = __version__
    tokenizer_sha256: str
    corpus_sha256: str
    drawn_bp: int
    jitter_bp: int
    seed: int
    file: FileRecord


def make_rows(
    run: Path,
    recipe: Recipe,
    corpus: Corpus,
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
    report: Reporter,
) -> Rows:
    """Store what the rows of a run are made of, and plan them.

    Validation has rows of full length in random order, and all its tokens count alike.
    """
    config, seed = recipe.batches, recipe.seed
    check = _validation_config(recipe)
    species = corpus.species_of_windows("train") if config.order == "ascending" else None
    stages = [(config.at_stage(stage), stage.steps) for stage in config.stages]
    if config.packing == "drawn":
        letters = make_letters(corpus, tokenizer, run / "letters", report)
        pieces = letters.split("train")

        def plan_drawn(settings: BatchConfig, counts: NDArray[np.integer] | None) -> DrawnRows:
            return DrawnRows(
                pieces, settings, vocabulary, tokenizer, seed, tokens=counts, species=species
            )

        train = plan_drawn(config, None)
        counts = None
        if config.order == "ascending":
            counts = _make_counts(train, corpus, tokenizer, run / "counts", report)
            train = plan_drawn(config, counts)
        return Rows(
            train,
            DrawnRows(letters.split("validation"), check, vocabulary, tokenizer, seed),
            # A part of a window has about that part of its tokens: the order is the same.
            [Stage(plan_drawn(settings, counts), steps) for settings, steps in stages],
        )
    store = make_store(corpus, tokenizer, run / "store", report)
    documents = store.split("train")
    soft = None
    if config.softmask_weight != 1:
        soft = _make_softmask(store, corpus, tokenizer, run / "softmask", report)

    def plan(settings: BatchConfig) -> RowPlan:
        return RowPlan(documents, settings, vocabulary, seed, softmask=soft, species=species)

    return Rows(
        plan(config),
        RowPlan(store.split("validation"), check, vocabulary, seed),
        [Stage(plan(settings), steps) for settings, steps in stages],
    )


def make_other_rows(
    folder: Path,
    recipe: Recipe,
    corpus: Corpus,
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
    report: Reporter,
) -> Plan:
    """Store the validation split of another corpus in a folder; return its rows."""
    config, only = _validation_config(recipe), ["validation"]
    if config.packing == "drawn":
        letters = make_letters(corpus, tokenizer, folder, report, only)
        return DrawnRows(letters.split("validation"), config, vocabulary, tokenizer, recipe.seed)
    store = make_store(corpus, tokenizer, folder, report, only)
    return RowPlan(store.split("validation"), config, vocabulary, recipe.seed)


def _validation_config(recipe: Recipe) -> BatchConfig:
    """Return how validation has its rows: of full length, in random order, weighed alike."""
    return recipe.batches.model_copy(
        update={
            "rows": recipe.train.micro_rows,
            "order": "random",
            "stages": (),
            "softmask_weight": 1.0,
        }
    )


def _make_softmask(
    store: TokenStore, corpus: Corpus, tokenizer: Tokenizer, output: Path, report: Reporter
) -> SoftmaskBits:
    """Compare the tokens of training with their letters, or open the bits that are there."""
    documents = store.split("train")

    def bits() -> Iterator[NDArray[np.bool_]]:
        for index, sequence in enumerate(corpus.iter_sequences("train")):
            yield softmasked(tokenizer, documents.document(index), sequence)

    with report.stage("Reading the soft mask", len(documents)) as progress:
        found = write_softmask(
            output,
            {"train": bits()},
            tokenizer_sha256=tokenizer.sha256,
            corpus_sha256=corpus.manifest.corpus_sha256,
            progress=progress,
        )
    return found["train"]


def _make_counts(
    plan: DrawnRows, corpus: Corpus, tokenizer: Tokenizer, output: Path, report: Reporter
) -> NDArray[np.int32]:
    """Count the tokens of one window of each piece, or read the counts that are there."""
    about: dict[str, Any] = {
        "tokenizer_sha256": tokenizer.sha256,
        "corpus_sha256": corpus.manifest.corpus_sha256,
        "drawn_bp": plan.config.drawn_bp,
        "jitter_bp": plan.config.jitter_bp,
        "seed": plan.seed,
    }
    if (output / MANIFEST).exists():
        found = read_manifest(output, CountsManifest)
        refuse_differences(
            output, {name: (getattr(found, name), value) for name, value in about.items()}
        )
        check_files(output, [found.file])
        return np.asarray(np.load(output / COUNTS_FILE))
    with report.stage("Counting the tokens of windows", plan.num_rows) as progress:
        counts = np.zeros(plan.num_rows, dtype=np.int32)
        for piece, tokens in enumerate(plan.count_windows()):
            counts[piece] = tokens
            if piece % 1024 == 0:
                progress(piece, None)
    with new_folder(output) as folder:
        np.save(folder / COUNTS_FILE, counts)
        file = folder / COUNTS_FILE
        record = FileRecord(file=COUNTS_FILE, bytes=file.stat().st_size, sha256=file_sha256(file))
        write_manifest(folder, CountsManifest(**about, file=record))
    return counts
