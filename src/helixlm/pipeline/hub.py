"""Corpora on the Hugging Face hub: pushed there with a card, and fetched from there.

Comes in: a finished corpus and a name ``OWNER/NAME``; or such a name alone. Goes out: a dataset
that `datasets.load_dataset` reads; or the folder of a corpus, checked. Whoever reads while a corpus
takes the place of another gets the one or the other, never a mixture: the hub changes from one
commit to the next. What the card says belongs to `report/card.py`.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import NamedTuple

from httpx2 import HTTPError
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, snapshot_download
from huggingface_hub.errors import (
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile

from helixlm.data.corpus import Corpus, CorpusManifest
from helixlm.data.folder import MANIFEST, check_files, read_manifest
from helixlm.errors import HelixError, InputError, StateError
from helixlm.pipeline.prepare import PAGE
from helixlm.report.card import render_card
from helixlm.version import __version__

CARD = "README.md"
COMMIT_FILES = 250
"""Files of a commit: the hub gives up after a minute, and its own client begins with so many."""

_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
_KIND = "dataset"


class HubError(InputError):
    """A dataset on the hub that cannot be read or written."""


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
    if not _NAME.fullmatch(name):
        raise HubError(f"{name}: expected OWNER/NAME, a name for a dataset on the Hugging Face hub")
    corpus.verify()
    api = HfApi(token=token, library_name="helixlm", library_version=__version__)
    with _told(name):
        # None leaves it to what the owner has chosen for new datasets.
        url = api.create_repo(name, repo_type=_KIND, private=private or None, exist_ok=True)
        there = api.repo_info(name, repo_type=_KIND)
        head = str(there.sha)
        if private and not there.private:
            raise HubError(f"{name}: expected a private dataset, found a public one: {url}")
        tree = api.list_repo_tree(name, repo_type=_KIND, revision=head, recursive=True)
        found = {file.path: file for file in tree if isinstance(file, RepoFile)}
        _refuse_others(api, name, head, found)
        wanted = _additions(corpus, name, licence)
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


def fetch_corpus(name: str, revision: str | None = None, *, token: str | None = None) -> Path:
    """Fetch a corpus from the Hugging Face hub into the hub's cache.

    Parameters
    ----------
    name : str
        ``OWNER/NAME`` of a dataset that `push_corpus` made.
    revision : str, optional
        A commit, branch or tag; by default what is newest. Without a connection, what was fetched
        last.
    token : str, optional
        An access token; by default that of ``hf auth login`` or HF_TOKEN.

    Returns
    -------
    Path
        The folder, for `helixlm.data.corpus.open_corpus`; every file is compared with its hash.

    Raises
    ------
    HubError
        If there is no such dataset, it cannot be reached, or it holds no corpus.
    StateError
        If a file is not what was written, or this version cannot read the corpus.
    """
    if not _NAME.fullmatch(name):
        raise HubError(f"{name}: expected OWNER/NAME, the name of a dataset on the hub")
    folder = _fetch(name, revision, [MANIFEST], token)
    if not (folder / MANIFEST).is_file():
        raise HubError(f"{name}: the dataset has no {MANIFEST}: it is no helixlm corpus")
    manifest = read_manifest(folder, CorpusManifest)
    # The manifest's commit, whatever is pushed meanwhile.
    files = [MANIFEST, CARD, PAGE, *(f"{split}/*.parquet" for split in manifest.splits)]
    _fetch(name, folder.name, files, token)
    try:
        check_files(folder, manifest.files, contents=True)
    except StateError as error:
        raise StateError(
            f"{name}: {error}. To fetch it again, delete {folder.parents[1]} first"
        ) from error
    return folder


def find_corpus(source: str | Path) -> Path:
    """Return the folder of a corpus, fetched from the hub where `source` is a name on it.

    Parameters
    ----------
    source : str or path
        A folder, or ``OWNER/NAME`` on the hub; a folder of that name goes first.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    HubError, StateError
        If there is neither folder nor dataset, or what is there is no corpus.
    """
    if not may_be_on_hub(source):
        return Path(source)
    try:
        return fetch_corpus(str(source))
    except HubError as error:
        raise HubError(f"{source}: no such folder; as a name on the hub: {error}") from error


def may_be_on_hub(source: str | Path) -> bool:
    """Say whether this can only be a name on the hub: neither it nor a folder OWNER is here."""
    path = Path(source)
    return bool(_NAME.fullmatch(str(source))) and not path.exists() and not path.parent.exists()


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
        path = api.hf_hub_download(name, MANIFEST, repo_type=_KIND, revision=head)
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
        repo_type=_KIND,
        parent_commit=head,
        create_pr=request,
    )
    if not request:
        return first.oid
    for part in parts[1:]:
        api.create_commit(
            name, part, commit_message=message, repo_type=_KIND, revision=first.pr_revision
        )
    if api.repo_info(name, repo_type=_KIND).sha != head:
        raise HubError(f"{name}: the dataset changed meanwhile: run again ({first.pr_url})")
    assert first.pr_num is not None
    api.merge_pull_request(name, first.pr_num, repo_type=_KIND)
    return str(api.repo_info(name, repo_type=_KIND).sha)


def _fetch(name: str, revision: str | None, files: list[str], token: str | None) -> Path:
    with _told(name):
        return Path(
            snapshot_download(
                name,
                repo_type=_KIND,
                revision=revision,
                allow_patterns=files,
                token=token,
                library_name="helixlm",
                library_version=__version__,
            )
        )


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Tell what goes wrong with the hub as ours, in one line."""
    try:
        yield
    except HelixError:
        raise
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        raise HubError(f"{name}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """Say in one line why the hub could not be used."""
    chain = list(_causes(error))
    if any(isinstance(cause, OfflineModeIsEnabled) for cause in chain):
        return "not in the cache, and HF_HUB_OFFLINE forbids to ask the hub: unset it"
    refusal = next((cause for cause in chain if isinstance(cause, HfHubHTTPError)), None)
    if isinstance(refusal, RevisionNotFoundError):
        return "the dataset has no such revision"
    if isinstance(refusal, RepositoryNotFoundError):
        return (
            "no dataset of this name on the hub that can be read with this token: look at the "
            "name; for a private one, run 'hf auth login' or set HF_TOKEN"
        )
    status = None if refusal is None else refusal.response.status_code
    if status == 401:
        return "the hub does not know the token (401): run 'hf auth login' or set HF_TOKEN"
    if status == 403:
        return "the token has no right to do this (403): use one that may write there"
    if status == 412:
        return "the dataset changed meanwhile (412): run again"
    if status is not None and status >= 500:
        return (
            f"the hub failed ({status}): run again later; what has arrived is not sent twice, and "
            "readers never see a part"
        )
    if any(isinstance(cause, HTTPError) for cause in chain):
        cached = (
            ", and it is not in the cache" if isinstance(error, LocalEntryNotFoundError) else ""
        )
        return f"the hub cannot be reached ({_first_line(chain[-1])}){cached}"
    return "; ".join(dict.fromkeys(map(_first_line, (error, chain[-1]))))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
