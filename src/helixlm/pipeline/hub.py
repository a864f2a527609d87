"""Corpora pushed to the Hugging Face hub, each as a dataset with a card.

Comes in: a finished corpus and a name ``OWNER/NAME``. Goes out: a dataset that
`datasets.load_dataset` and `helixlm.data.hub` read. Whoever reads while a corpus takes the place of
another gets the one or the other, never a mixture: the hub changes from one commit to the next.
What the card says belongs to `report/card.py`.
"""

import json
from collections.abc import Collection
from pathlib import Path, PurePath

from huggingface_hub import CommitOperationAdd, HfApi

from helixlm.data.corpus.base import Corpus, CorpusManifest
from helixlm.data.folder import MANIFEST
from helixlm.data.hub import REPO_TYPE, HubError, check_name
from helixlm.pipeline.hub_files import CARD, PushResult, push_files
from helixlm.pipeline.prepare import PAGE
from helixlm.report.card import render_card
from helixlm.version import __version__


def push_corpus(
    corpus: Corpus,
    name: str,
    *,
    licence: str | None = None,
    private: bool = False,
    token: str | None = None,
) -> PushResult:
    """Send a corpus to the Hugging Face hub as a dataset.

    The dataset holds the shards, the manifest, the page if there is one, and a card. Of paths that
    are absolute only the file's name is told. What is there already is not sent again; a corpus
    that is there is replaced, and its history stays.

    Parameters
    ----------
    corpus : Corpus
        The corpus; all its files are read and compared with their hashes first.
    name : str
        ``OWNER/NAME``; the dataset is made if it does not exist.
    licence : str, optional
        The hub's identifier of a licence, such as ``"cc-by-4.0"``, for the card.
    private : bool
        Make a dataset that only its owner sees. One that exists must be so already.
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
    StateError
        If the corpus is damaged.
    """
    check_name(name)
    corpus.verify()
    message = f"Corpus {corpus.manifest.corpus_sha256[:12]}, by helixlm {__version__}"
    return push_files(
        name,
        _additions(corpus, name, licence),
        kind=REPO_TYPE,
        message=message,
        is_ours=_is_ours,
        check=_refuse_others,
        private=private,
        token=token,
    )


def _additions(corpus: Corpus, name: str, licence: str | None) -> list[CommitOperationAdd]:
    """Return all files of the dataset."""
    manifest = _without_folders(corpus.manifest)
    card = render_card(manifest, name, licence=licence)
    files = [
        CommitOperationAdd(CARD, card.encode()),
        CommitOperationAdd(MANIFEST, (manifest.model_dump_json(indent=2) + "\n").encode()),
    ]
    if (corpus.path / PAGE).is_file():
        files.append(CommitOperationAdd(PAGE, (corpus.path / PAGE).read_bytes()))
    for record in manifest.files:
        shard = CommitOperationAdd(record.file, str(corpus.path / record.file))
        shard.upload_info.sha256 = bytes.fromhex(record.sha256)  # `verify` has read it
        files.append(shard)
    return files


def _without_folders(manifest: CorpusManifest) -> CorpusManifest:
    """Leave the folders of absolute paths out: they tell of the user's machine."""
    values = manifest.model_dump(mode="json")
    for source in values["sources"]:
        for file in (*source["inputs"], *source["others"]):
            if PurePath(file["path"]).is_absolute():
                file["path"] = PurePath(file["path"]).name
    return CorpusManifest.model_validate_json(json.dumps(values))


def _is_ours(path: str) -> bool:
    """Say whether a file of a dataset belongs to a corpus."""
    split, _, file = path.partition("/")
    return path in (CARD, MANIFEST, PAGE) or (
        split in ("train", "validation") and file.endswith(".parquet")
    )


def _refuse_others(api: HfApi, name: str, head: str, found: Collection[str]) -> None:
    """Raise HubError if a dataset holds files and is no corpus."""
    others = sorted(path for path in found if path != CARD and not path.startswith("."))
    if MANIFEST in others:
        path = api.hf_hub_download(name, MANIFEST, repo_type=REPO_TYPE, revision=head)
        try:
            content = json.loads(Path(path).read_bytes())
        except ValueError:
            content = None
        kind = CorpusManifest.model_fields["format"].default
        if isinstance(content, dict) and content.get("format") == kind:
            return
    if others:
        more = f" and {len(others) - 5} more" if len(others) > 5 else ""
        raise HubError(
            f"{name}: the dataset holds files that are no corpus ({', '.join(others[:5])}{more}): "
            "choose another name"
        )
