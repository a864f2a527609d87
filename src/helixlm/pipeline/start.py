"""What a run begins with: fresh weights, those of a model, or a run that goes on.

Comes in: a recipe. Goes out: the model and its tokenizer; and, where a run goes on, the checkpoint
with its optimiser. What comes from elsewhere is copied into `start/` of the run's folder first, so
that the run can be resumed when the other is gone.
"""

import shutil
from pathlib import Path
from typing import NamedTuple

import torch

from helixlm.data.folder import new_folder
from helixlm.errors import InputError
from helixlm.inference import load
from helixlm.models.cost import ModelShape
from helixlm.models.heads import (
    CausalLM,
    LanguageModel,
    MaskedLM,
    SequenceClassifier,
    build_language_model,
)
from helixlm.models.hf import save_model
from helixlm.models.init import begin_at_frequencies, initialise
from helixlm.recipes.schema import Recipe, StartConfig
from helixlm.rng import CounterRng
from helixlm.tokenizers.base import Tokenizer
from helixlm.train.batches import Plan
from helixlm.train.checkpoint import Checkpoint, latest_checkpoint, read_checkpoint
from helixlm.train.masking import overlap_problem


class Start(NamedTuple):
    """Where a run begins."""

    model: LanguageModel
    tokenizer: Tokenizer
    checkpoint: Checkpoint | None
    """Of the run that goes on; None where the optimiser and the schedule are fresh."""


def open_start(run: Path, recipe: Recipe) -> Start:
    """Copy what a run begins with into its folder, or read the copy that is there.

    Parameters
    ----------
    run : Path
        The run's folder.
    recipe : Recipe
        One with a `start`.

    Returns
    -------
    Start
        The model on the CPU.

    Raises
    ------
    InputError
        If there is no such model or run, if it predicts something else than tokens, or if the
        recipe does not go with it.
    """
    assert recipe.start is not None, "other recipes make their model"
    folder = run / "start"
    if not folder.exists():
        _copy(recipe.start, folder)
    loaded = load(folder)
    model = loaded.model
    if isinstance(model, SequenceClassifier):
        raise InputError(
            f"{recipe.start.model}: a classifier of {len(loaded.labels)} classes, and pretraining "
            "needs a model that predicts tokens: give the one that it was fine-tuned from"
        )
    checkpoint = read_checkpoint(folder) if recipe.start.continued else None
    _check(recipe, model, loaded.tokenizer, checkpoint)
    if not (run / "tokenizer").exists():
        with new_folder(run / "tokenizer") as partial:
            loaded.tokenizer.save(partial, max_tokens=model.config.usual_tokens)
    return Start(model, loaded.tokenizer, checkpoint)


def _copy(start: StartConfig, folder: Path) -> None:
    """Copy a model with its tokenizer, or the newest checkpoint of a run."""
    if start.continued:
        newest = latest_checkpoint(Path(start.model) / "checkpoints")
        if newest is None:
            raise InputError(
                f"{start.model}: no run with a checkpoint to go on from: give the folder of a run "
                "of helixlm pretrain, or --from, which needs a model alone"
            )
        with new_folder(folder) as partial:
            shutil.copytree(newest.path, partial, dirs_exist_ok=True)
        return
    loaded = load(start.model)
    with new_folder(folder) as partial:
        save_model(loaded.model, partial)
        loaded.tokenizer.save(partial, max_tokens=loaded.model.config.usual_tokens)


def _check(
    recipe: Recipe, model: LanguageModel, tokenizer: Tokenizer, checkpoint: Checkpoint | None
) -> None:
    """Refuse settings that do not go with the model, its tokenizer or the steps it has taken."""
    assert recipe.start is not None
    problems = []
    most = model.config.max_tokens
    if most is not None and recipe.batches.row_tokens > most:
        problems.append(
            f"batches.row_tokens {recipe.batches.row_tokens} is over the {most} tokens that this "
            f"model has positions for: set batches.row_tokens to at most {most}"
        )
    if isinstance(model, CausalLM) and recipe.masking is not None:
        problems.append("this model predicts the next token: set masking to null")
    elif recipe.masking is None and not isinstance(model, CausalLM):
        problems.append(
            "masking null asks each token for the next, and this model sees it: give masking.rate"
        )
    elif recipe.masking is not None:
        problem = overlap_problem(recipe.masking, tokenizer.overlap_bp)
        problems += [] if problem is None else [problem]
    if checkpoint is not None and recipe.train.steps <= checkpoint.step:
        problems.append(
            f"train.steps {recipe.train.steps} is not over the {checkpoint.step} steps that were "
            "taken already: set train.steps to what the run shall have in all"
        )
    if problems:
        raise InputError(f"{recipe.start.model}: {'; '.join(problems)}")


def fresh_model(
    recipe: Recipe, config: ModelShape, tokenizer: Tokenizer, rows: Plan
) -> LanguageModel:
    """Return a model with the random weights of the recipe's seed.

    Parameters
    ----------
    recipe : Recipe
        Its seed is taken.
    config : EncoderConfig or HyenaConfig
        What to build.
    tokenizer : Tokenizer
        Its tokens.
    rows : Plan
        Rows of training, whose frequent tokens some initialisations begin with.
    """
    model = build_language_model(config)
    seed = int(CounterRng("weights", recipe.seed).words(1)[0] >> 1)
    initialise(model, config, torch.Generator().manual_seed(seed), tokenizer.tokens)
    if isinstance(model, MaskedLM) and model.config.initialisation == "local":
        begin_at_frequencies(model.head, rows.counted().count_tokens(tokenizer.vocab_size))
    return model


def corpus_of_run(run: Path) -> Path | None:
    """Return the corpus that a run was trained on, if it is in its folder."""
    corpus = run / "corpus"
    return corpus if corpus.is_dir() else None
