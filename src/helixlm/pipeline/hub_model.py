"""Models pushed to the Hugging Face hub, each with a card made from the run that trained it.

Comes in: a run, a model folder or a name on the hub, and a name ``OWNER/NAME``. Goes out: a model
there, in the files that `convert` writes. What the card says belongs to `report/model_card.py`.
"""

import json
from collections.abc import Collection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from huggingface_hub import CommitOperationAdd, HfApi

from helixlm.data.corpus.base import CorpusManifest, open_corpus
from helixlm.data.hub import HubError, check_name
from helixlm.errors import HelixError
from helixlm.inference import load
from helixlm.inference.loading import LoadedModel
from helixlm.pipeline.convert import Converted, convert
from helixlm.pipeline.hub_files import CARD, PushResult, push_files
from helixlm.report.model_card import ModelFacts, render_model_card
from helixlm.version import __version__

RECIPE = "recipe.yaml"
FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
"""What `convert` writes."""


def push_model(
    model: str | Path,
    name: str,
    *,
    licence: str | None = None,
    private: bool = False,
    token: str | None = None,
) -> PushResult:
    """Send a model to the Hugging Face hub.

    The repository holds the model as `convert` writes it, a card, and the recipe where the model
    is that of a run. What is there already is not sent again; a model that is there is replaced,
    and its history stays.

    Parameters
    ----------
    model : str or Path
        A run of `helixlm pretrain` or `finetune`, a model folder, or a name on the hub.
    name : str
        ``OWNER/NAME``; the repository is made if it does not exist.
    licence : str, optional
        The hub's identifier of a licence, such as ``"cc-by-4.0"``, for the card.
    private : bool
        Make a model that only its owner sees. One that exists must be so already.
    token : str, optional
        An access token; by default that of ``hf auth login`` or HF_TOKEN.

    Returns
    -------
    PushResult
        Where it is, and what was done.

    Raises
    ------
    HubError
        If the name is none, holds something else, or the hub refuses or fails.
    InputError, StateError
        If there is no such model, or a run is not finished.
    """
    check_name(name, "model")
    loaded = load(model)
    with TemporaryDirectory() as folder:
        done = convert(loaded.path, Path(folder, "model"))
        facts = gather_facts(loaded, done)
        files = [CommitOperationAdd(file, str(done.path / file)) for file in FILES]
        files.append(
            CommitOperationAdd(CARD, render_model_card(facts, name, licence=licence).encode())
        )
        if facts.recipe:
            files.append(CommitOperationAdd(RECIPE, facts.recipe.encode()))
        return push_files(
            name,
            files,
            kind="model",
            message=f"{done.class_name}, by helixlm {__version__}",
            is_ours=_is_ours,
            check=_refuse_others,
            private=private,
            token=token,
        )


def gather_facts(loaded: LoadedModel, done: Converted) -> ModelFacts:
    """Collect what is known of a model: of itself, and from the run that it is the model of."""
    run = loaded.path.parent if loaded.path.name == "model" else None
    recipe = "" if run is None or not (run / RECIPE).is_file() else (run / RECIPE).read_text()
    summary = {} if run is None else _read(run / "summary.json")
    finetuning = {} if run is None else _read(run / "finetune.json")
    pretraining = summary if recipe else {}
    return ModelFacts(
        config=loaded.model.config,
        class_name=done.class_name,
        num_parameters=done.num_parameters,
        labels=loaded.labels,
        tokenizer_kind=loaded.tokenizer.kind,
        num_tokens=loaded.tokenizer.vocab_size,
        home="helixlm" if loaded.tokenizer.overlap_bp else done.home,
        recipe=recipe,
        pretraining=pretraining,
        corpus=_corpus(run, pretraining),
        finetuning=finetuning,
        scores=summary if finetuning else {},
    )


def _corpus(run: Path | None, pretraining: dict[str, Any]) -> CorpusManifest | None:
    """Return the manifest of the corpus of a run, if it is where it was and the one that was."""
    for place in (pretraining.get("corpus"), None if run is None else run / "corpus"):
        if place is None:
            continue
        try:
            manifest = open_corpus(place).manifest
        except HelixError:  # moved, or removed: the card then tells its hash alone
            continue
        if manifest.corpus_sha256 == pretraining.get("corpus_sha256"):
            return manifest
    return None


def _read(path: Path) -> dict[str, Any]:
    """Read what a run recorded; nothing where there is no such file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _is_ours(path: str) -> bool:
    """Say whether a file of a repository is one that a push writes."""
    return path in (CARD, RECIPE, *FILES)


def _refuse_others(api: HfApi, name: str, head: str, found: Collection[str]) -> None:
    """Raise HubError if a repository holds files that no push wrote."""
    others = sorted(path for path in found if not _is_ours(path) and not path.startswith("."))
    if others:
        more = f" and {len(others) - 5} more" if len(others) > 5 else ""
        raise HubError(
            f"{name}: the model holds files that helixlm does not write ({', '.join(others[:5])}"
            f"{more}): choose another name"
        )
