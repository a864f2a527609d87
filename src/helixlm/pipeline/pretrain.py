"""The main job: from FASTA files, or a corpus, to a pretrained model in a run folder.

`pretrain` prepares the corpus, trains the tokenizer, encodes, trains, and exports; a stage that is
done is skipped, and training goes on from the newest checkpoint. The folder:

    RUN/recipe.yaml     the resolved recipe      RUN/metrics.jsonl   losses, step by step
    RUN/corpus/         windows as Parquet       RUN/checkpoints/    to resume from
    RUN/tokenizer/      for AutoTokenizer        RUN/model/          for AutoModelForMaskedLM
    RUN/store/          token ids                RUN/summary.json    what came out
    RUN/letters/        in place of the store, where windows are drawn while training runs
    RUN/softmask/       which tokens of the store are soft-masked, where these have a weight
    RUN/counts/         tokens of drawn windows, where rows come in their order
    RUN/others/         validation rows of other corpora, where these were asked for
    RUN/start/          the model, or the checkpoint, that training began with, if it was not fresh
"""

import fcntl
import hashlib
import json
import logging
import os
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch

from helixlm.data.corpus.base import Corpus, open_corpus
from helixlm.data.folder import new_folder
from helixlm.data.hub import find_corpus
from helixlm.errors import InputError, StateError
from helixlm.files import replace_file
from helixlm.inference import resolve_device
from helixlm.models.cost import ModelShape
from helixlm.models.hf import load_model, save_model
from helixlm.pipeline.machine import processor_name, require_compiler
from helixlm.pipeline.prepare import prepare
from helixlm.pipeline.progress import Reporter, Silent
from helixlm.pipeline.rows import make_other_rows, make_rows
from helixlm.pipeline.stages import make_tokenizer, vocabulary_of
from helixlm.pipeline.start import corpus_of_run, fresh_model, open_start
from helixlm.recipes.load import compare_recipes, contradicted, load_recipe, recipe_yaml
from helixlm.recipes.schema import Recipe
from helixlm.tokenizers.base import Tokenizer
from helixlm.tokenizers.bpe import row_dropout
from helixlm.train.batches import Vocabulary
from helixlm.train.loop import fit
from helixlm.train.metrics import read_lines
from helixlm.train.result import TrainingResult
from helixlm.version import __version__

logger = logging.getLogger(__name__)

HARMLESS = (
    "name",
    "description",
    "train.num_workers",
    "train.checkpoint_every",
    "train.keep_checkpoints",
    "train.track",
)
"""Settings that may differ when a run resumes: they do not change a number."""


class PretrainResult(NamedTuple):
    """What a call of `pretrain` left behind."""

    run: Path
    model: Path | None
    """The exported model folder; None if the run was stopped before its last step."""
    training: TrainingResult
    num_parameters: int
    summary: dict[str, Any]


def pretrain(
    recipe: str | Path | Recipe,
    output: str | Path,
    *,
    fasta: Sequence[str | Path] = (),
    corpus: str | Path | None = None,
    start: str | Path | None = None,
    continues: str | Path | None = None,
    also_validate: Sequence[str | Path] = (),
    overrides: Sequence[str] = (),
    species: str = "",
    assembly: str = "",
    device: str | None = None,
    report: Reporter | None = None,
) -> PretrainResult:
    """Pretrain a masked DNA language model, or go on with a run that was stopped.

    Parameters
    ----------
    recipe : str, Path or Recipe
        Name of a built-in recipe, a YAML file, or a recipe.
    output : path
        The run's folder. If it holds the same run already, that run resumes.
    fasta : sequence of path
        FASTA files, plain, gzip or bgzip.
    corpus : path, optional
        A prepared corpus instead of `fasta`, or ``OWNER/NAME`` of one on the Hugging Face hub;
        `windows`, `variants`, `weights`, `duplicates` and `split` are then those of the corpus.
    start : str or path, optional
        A model to begin with, in place of random weights: a run, a model folder, or a name on the
        Hugging Face hub. Its tokenizer comes with it; optimiser and schedule are fresh.
    continues : path, optional
        A run to go on with, in the new folder `output`: with its tokenizer, its optimiser and the
        schedule at its step. `train.steps` counts those that it has taken. Without `fasta` and
        `corpus` its corpus is taken.
    also_validate : sequence of path
        More corpora whose validation split is scored whenever the run's own is.
    overrides : sequence of str
        ``section.key=value`` settings put on the recipe. None may contradict `corpus`.
    species, assembly : str
        Written into the corpus.
    device : str, optional
        "cpu", "cuda" or "cuda:N"; by default CUDA if there is one.
    report : Reporter, optional
        Where to show progress.

    Returns
    -------
    PretrainResult
        Paths and figures.

    Raises
    ------
    InputError
        If an input or the recipe is not what it must be.
    StateError
        If the folder holds another run, is in use, or cannot be written.
    """
    run, report = Path(output), report or Silent()
    device = str(resolve_device(device))
    resolved = load_recipe(recipe, [*overrides, *_start_settings(start, continues, overrides)])
    if continues is not None and not fasta and corpus is None:
        corpus = corpus_of_run(Path(continues))
    if not fasta and corpus is None and not (run / "corpus" / "manifest.json").exists():
        raise InputError(
            "nothing to train on: give FASTA files (--fasta) or a prepared corpus (--corpus)"
        )
    if fasta and corpus is not None:
        raise InputError("both FASTA files and a corpus were given: expected one of them")
    if corpus is not None:
        corpus = find_corpus(corpus)
        resolved = _as_cut(resolved, open_corpus(corpus), overrides)
    if resolved.model is None and resolved.start is None:
        raise InputError(
            f"recipe {resolved.name!r} has no model: it ends with the corpus and its tokenizer "
            f"(helixlm prepare --recipe {resolved.name}); take another recipe to train on such a "
            "corpus (--corpus), or give a model (--set model.hidden_size=256)"
        )
    if resolved.train.compile:
        require_compiler(device)
    with _only_user(run):
        _keep_recipe(run, resolved)
        source = _corpus(run, resolved, fasta, corpus, species, assembly, report)
        begin = None if resolved.start is None else open_start(run, resolved)
        if begin is None:
            assert resolved.tokenizer is not None, "a recipe without start has one"
            tokenizer: Tokenizer = make_tokenizer(
                source, resolved.tokenizer, run / "tokenizer", report
            )
        else:
            tokenizer = begin.tokenizer
        rate = resolved.batches.bpe_dropout
        dropout = row_dropout(tokenizer, rate) if rate else None
        vocabulary = vocabulary_of(tokenizer)
        rows = make_rows(run, resolved, source, tokenizer, vocabulary, report)
        others = {
            str(path): make_other_rows(
                run / "others" / str(number),
                resolved,
                open_corpus(find_corpus(path)),
                tokenizer,
                vocabulary,
                report,
            )
            for number, path in enumerate(also_validate)
        }
        if begin is None:
            config = _whole_model(resolved, vocabulary)
            model = fresh_model(resolved, config, tokenizer, rows.train)
        else:
            config, model = begin.model.config, begin.model
        parameters = sum(parameter.numel() for parameter in model.parameters())
        report.line(f"{parameters:,} parameters, vocabulary {vocabulary.size:,}")
        with report.training("Training", resolved.train.steps) as progress:
            training = fit(
                model,
                train=rows.train,
                validation=rows.validation,
                stages=rows.stages,
                masking=resolved.masking,
                config=resolved.train,
                seed=resolved.seed,
                output=run,
                save_tokenizer=partial(tokenizer.save, max_tokens=config.usual_tokens),
                identity={
                    "corpus": source.manifest.corpus_sha256,
                    "tokenizer": tokenizer.sha256,
                    "recipe": recipe_sha256(resolved),
                },
                dropout=dropout,
                others=others,
                start=None if begin is None else begin.checkpoint,
                device=device,
                progress=progress,
            )
        exported = _export(run, training, tokenizer) if training.finished else None
        summary = _summary(resolved, source, tokenizer, training, parameters, device)
        summary["neighbour_difference_error"] = _difference_error(run, training)
        summary["corpus"] = str(source.path.resolve())
        summary["epochs"] = training.epochs
        summary["others"] = _other_losses(run, training)
        summary["start"] = None if resolved.start is None else resolved.start.model
        write_json(run / "summary.json", summary)
    return PretrainResult(run, exported, training, parameters, summary)


def _start_settings(
    start: str | Path | None, continues: str | Path | None, overrides: Sequence[str]
) -> list[str]:
    """Return the settings of a recipe that say what training begins with."""
    if start is not None and continues is not None:
        raise InputError(
            "both a model to begin with (--from) and a run to go on with (--continue) were given: "
            "expected one of them"
        )
    if start is None and continues is None:
        return []
    own = [text for text in overrides if text.split(".")[0].strip() in ("model", "tokenizer")]
    if own:
        raise InputError(
            f"--set {own[0]!r}: model and tokenizer come with {start or continues}: leave it out"
        )
    given = {"model": str(start or continues), "continued": continues is not None}
    return [f"start={json.dumps(given)}"]


def _whole_model(recipe: Recipe, vocabulary: Vocabulary) -> ModelShape:
    """Return the sizes of a fresh model, which has positions for all tokens of a row."""
    assert recipe.model is not None, "checked when the recipe was resolved"
    config = recipe.model.complete(
        vocab_size=vocabulary.size, pad_token_id=vocabulary.pad, mask_token_id=vocabulary.mask
    )
    most = config.max_tokens
    if most is not None and recipe.batches.row_tokens > most:
        needed = recipe.batches.row_tokens + config.max_positions - most
        raise InputError(
            f"batches.row_tokens {recipe.batches.row_tokens} is over the {most} "
            f"tokens that model.max_positions {config.max_positions} serves with the padding "
            f"id {config.pad_token_id} of this tokenizer: set model.max_positions={needed}"
        )
    return config


def standard_error_of(result: PretrainResult) -> str:
    """Say how sure the difference of the model's loss and the neighbour baseline is."""
    error = result.summary["neighbour_difference_error"]
    difference = result.training.best_loss - result.training.baselines.neighbour.loss
    if error is None:
        return ""
    return f" (difference {difference:+.4f}, standard error {error:.4f})"


def recipe_sha256(recipe: Recipe) -> str:
    """Return a hash over all settings that change a number."""
    values = recipe.model_dump(mode="json")
    for path in HARMLESS:
        *sections, key = path.split(".")
        at = values
        for section in sections:
            at = at[section]
        del at[key]
    values.pop("finetune")
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write JSON so that it is there whole or not at all."""
    with replace_file(path) as partial:
        partial.write_text(json.dumps(values, indent=1) + "\n")


@contextmanager
def _only_user(run: Path) -> Iterator[None]:
    """Hold the run folder: two processes that train in one folder would ruin it."""
    try:
        run.mkdir(parents=True, exist_ok=True)
        lock = (run / ".lock").open("w")
    except OSError as error:
        raise StateError(f"{run}: cannot be written: {error}; choose another folder") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StateError(
                f"{run}: another process is training in this folder; wait for it, or choose "
                f"another folder"
            ) from error
        except OSError as error:  # a file system without locks, such as some NFS and Lustre
            logger.warning(
                "%s: this file system has no locks (%s): take care that one process alone trains "
                "in this folder",
                run,
                error,
            )
        yield


def _as_cut(recipe: Recipe, corpus: Corpus, overrides: Sequence[str]) -> Recipe:
    """Put the settings into a recipe by which a corpus was made, so that the run's copy is true.

    Raises
    ------
    InputError
        If an override says otherwise: it would change nothing.
    """
    made = corpus.manifest
    cut = recipe.model_copy(
        update={
            "windows": made.windows,
            "variants": made.variants,
            "weights": made.weights,
            "duplicates": made.duplicates,
            "split": made.split,
        }
    )
    against = contradicted(overrides, recipe, cut)
    held_out = "split.validation_contigs"
    if held_out in against:  # they may have been drawn, and named none in the settings
        against[held_out] = list(made.validation_contigs)
        if set(recipe.split.validation_contigs) == set(made.validation_contigs):
            del against[held_out]
    if against:
        listed = "; ".join(f"{name} is {value} there" for name, value in against.items())
        raise InputError(
            f"{corpus.path}: a corpus that was made with other settings than those given: "
            f"{listed}. Leave them out, or make a corpus with them (helixlm prepare)"
        )
    changes = compare_recipes(recipe, cut)
    if changes:
        logger.info(
            "%s was made with settings of its own, which hold here: %s",
            corpus.path,
            "; ".join(changes),
        )
    return cut


def _keep_recipe(run: Path, recipe: Recipe) -> None:
    """Save the resolved recipe, or compare it with the one the run was started with."""
    path = run / "recipe.yaml"
    if path.exists():
        changes = compare_recipes(load_recipe(path), recipe, HARMLESS)
        changes = [change for change in changes if not change.startswith("finetune.")]
        if changes:
            listed = "\n".join(f"  {change}" for change in changes)
            raise StateError(
                f"{run}: holds a run with other settings:\n{listed}\n"
                f"Give the settings of that run to resume it, or choose another folder"
            )
    with replace_file(path) as partial:
        partial.write_text(recipe_yaml(recipe))


def _corpus(
    run: Path,
    recipe: Recipe,
    fasta: Sequence[str | Path],
    corpus: str | Path | None,
    species: str,
    assembly: str,
    report: Reporter,
) -> Corpus:
    """Prepare the corpus, or open the one that is there."""
    if corpus is not None:
        return open_corpus(corpus)
    if fasta:
        return prepare(
            recipe, run / "corpus", fasta=fasta, species=species, assembly=assembly, report=report
        )
    return open_corpus(run / "corpus")


def _export(run: Path, training: TrainingResult, tokenizer: Tokenizer) -> Path:
    """Write the best checkpoint as the run's model folder."""
    output = run / "model"
    if output.exists():
        return output
    model = load_model(training.checkpoint, head="masked")
    with new_folder(output) as folder:
        save_model(model, folder)
        tokenizer.save(folder, max_tokens=model.config.usual_tokens)
    return output


def _summary(
    recipe: Recipe,
    corpus: Corpus,
    tokenizer: Tokenizer,
    training: TrainingResult,
    parameters: int,
    device: str,
) -> dict[str, Any]:
    return {
        "recipe": recipe.name,
        "helixlm_version": __version__,
        "finished": training.finished,
        "steps": training.step,
        "parameters": parameters,
        "vocabulary": tokenizer.vocab_size,
        "best_step": training.best_step,
        "validation_loss": training.best_loss,
        "validation_loss_before": training.loss_before,
        "unigram_loss": training.baselines.unigram.loss,
        "neighbour_loss": training.baselines.neighbour.loss,
        "tokens": training.tokens,
        "seconds": round(training.seconds, 1),
        "peak_flops": training.peak_flops,
        "corpus_sha256": corpus.manifest.corpus_sha256,
        "tokenizer_sha256": tokenizer.sha256,
        "machine": {
            "processor": processor_name(),
            "cores": os.cpu_count(),
            "gpu": torch.cuda.get_device_name(device) if device.startswith("cuda") else None,
        },
        "versions": versions(),
        "written": time.strftime("%Y-%m-%d %H:%M:%S"),
    }


def _difference_error(run: Path, training: TrainingResult) -> float | None:
    """Return the standard error of the best validation loss minus the neighbour baseline."""
    for record in read_lines(run / "metrics.jsonl"):
        if record["kind"] == "validation" and record["step"] == training.best_step:
            return record.get("neighbour_difference_error")
    return None


def _other_losses(run: Path, training: TrainingResult) -> dict[str, dict[str, float]]:
    """Return for each other corpus the loss before the first step and at the best one."""
    losses: dict[str, dict[str, float]] = {}
    for record in read_lines(run / "metrics.jsonl"):
        if record["kind"] == "other":
            found = losses.setdefault(record["name"], {"before": record["loss"]})
            if record["step"] == training.best_step:
                found["best"] = record["loss"]
    return losses


def versions() -> dict[str, str]:
    """Return the versions of what the numbers depend on."""
    names = ("torch", "transformers", "tokenizers", "numpy", "accelerate", "pyarrow")
    return {
        "helixlm": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in names},
    }
