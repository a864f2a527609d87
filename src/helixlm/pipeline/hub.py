"""Corpora pushed to the Hugging Face hub, each as a dataset with a card.

Comes in: a finished corpus and a name ``OWNER/NAME``. Goes out: a dataset that
`datasets.load_dataset` and `helixlm.data.hub` read. Whoever reads while a corpus takes the place of
another gets the one or the other, never a mixture: the hub changes from one commit to the next.
What the card says belongs to `report/card.py`.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.hf_api import RepoFile

from helixlm.data.corpus.base import Corpus, CorpusManifest
from helixlm.data.folder import MANIFEST
from helixlm.data.hub import REPO_TYPE, HubError, check_name, hub_errors
from helixlm.pipeline.prepare import PAGE
from helixlm.report.card import render_card
from helixlm.version import __version__

CARD = "README.md"
COMMIT_FILES = 250
"""Files of a commit: the hub gives up after a minute, and its own client begins with so many."""


class PushResult(NamedTuple):
    """What a push has done."""

    url: str
    revision: str
    """The commit that holds the corpus."""
    sent: int
    """Files that were not there, or were others."""
    deleted: int
    """Files of another corpus that were there before."""


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
    wanted = _additions(corpus, name, licence)
    api = HfApi(token=token, library_name="helixlm", library_version=__version__)
    with hub_errors(name):
        # None leaves it to what the owner has chosen for new datasets.
        url = api.create_repo(name, repo_type=REPO_TYPE, private=private or None, exist_ok=True)
        there = api.repo_info(name, repo_type=REPO_TYPE)
        head = str(there.sha)
        if private and not there.private:
            raise HubError(f"{name}: expected a private dataset, found a public one: {url}")
        tree = api.list_repo_tree(name, repo_type=REPO_TYPE, revision=head, recursive=True)
        found = {file.path: file for file in tree if isinstance(file, RepoFile)}
        _refuse_others(api, name, head, found)
        new = [file for file in wanted if not _is_there(file, found.get(file.path_in_repo))]
        kept = {file.path_in_repo for file in wanted}
        old = [
            CommitOperationDelete(path, is_folder=False)
            for path in found
            if path not in kept and _is_ours(path)
        ]
        operations: list[CommitOperationAdd | CommitOperationDelete] = [*old, *new]
        message = f"Corpus {corpus.manifest.corpus_sha256[:12]}, by helixlm {__version__}"
        revision = _commit(api, name, head, operations, message) if operations else head
    return PushResult(str(url), revision, len(new), len(old))


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


def _is_there(file: CommitOperationAdd, found: RepoFile | None) -> bool:
    """Say whether the dataset has a file with these contents."""
    if found is None:
        return False
    if found.lfs is not None:
        return found.lfs.sha256 == file.upload_info.sha256.hex()
    with file.as_file() as stream:
        content = stream.read()
    return found.blob_id == hashlib.sha1(b"blob %d\0%b" % (len(content), content)).hexdigest()


def _refuse_others(api: HfApi, name: str, head: str, found: dict[str, RepoFile]) -> None:
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


def _commit(
    api: HfApi,
    name: str,
    head: str,
    operations: Sequence[CommitOperationAdd | CommitOperationDelete],
    message: str,
) -> str:
    """Make one change of all operations, and return its commit.

    More than a commit takes are gathered in a pull request, which is then merged.
    """
    parts = [operations[i : i + COMMIT_FILES] for i in range(0, len(operations), COMMIT_FILES)]
    request = len(parts) > 1
    first = api.create_commit(
        name,
        parts[0],
        commit_message=message,
        repo_type=REPO_TYPE,
        parent_commit=head,
        create_pr=request,
    )
    if not request:
        return first.oid
    for part in parts[1:]:
        api.create_commit(
            name, part, commit_message=message, repo_type=REPO_TYPE, revision=first.pr_revision
        )
    if api.repo_info(name, repo_type=REPO_TYPE).sha != head:
        raise HubError(f"{name}: the dataset changed meanwhile: run again ({first.pr_url})")
    assert first.pr_num is not None
    api.merge_pull_request(name, first.pr_num, repo_type=REPO_TYPE)
    return str(api.repo_info(name, repo_type=REPO_TYPE).sha)
