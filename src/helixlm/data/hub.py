"""Corpora from the Hugging Face hub, where `pipeline/hub.py` has pushed them.

In: a name ``OWNER/NAME``. Out: the folder of a corpus in the hub's cache, checked. All that talks
to the hub tells what goes wrong there in the words of this module.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    HfHubHTTPError,
    HTTPError,  # of httpx or httpx2, whichever this version of the client uses
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from helixlm.data.corpus.base import CorpusManifest
from helixlm.data.folder import MANIFEST, check_files, read_manifest
from helixlm.errors import HelixError, InputError, StateError
from helixlm.version import __version__

REPO_TYPE = "dataset"

_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)


class HubError(InputError):
    """A dataset or model on the hub that cannot be read or written."""


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
        The folder, for `helixlm.data.corpus.base.open_corpus`; every file is compared with its
        hash.

    Raises
    ------
    HubError
        If there is no such dataset, it cannot be reached, or it holds no corpus that this version
        can read.
    StateError
        If a file is not what was written.
    """
    check_name(name)
    folder = _fetch(name, revision, [MANIFEST], token)
    if not (folder / MANIFEST).is_file():
        raise HubError(f"{name}: the dataset has no {MANIFEST}: it is no helixlm corpus")
    try:
        manifest = read_manifest(folder, CorpusManifest)
    except StateError as error:
        raise HubError(f"{name}: {error}") from error
    # The manifest's commit, whatever is pushed meanwhile.
    files = [MANIFEST, *(f"{split}/*.parquet" for split in manifest.splits)]
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
        A path, or ``OWNER/NAME`` on the hub; see `may_be_on_hub`.

    Returns
    -------
    Path
        The folder; what can be no name on the hub, as it is.

    Raises
    ------
    HubError, StateError
        If there is no such dataset either, or it is no corpus.
    """
    if not may_be_on_hub(source):
        return Path(source)
    try:
        return fetch_corpus(str(source))
    except HubError as error:
        reason = str(error).removeprefix(f"{source}: ")
        raise HubError(
            f"{source}: no such file or folder; taken for a name on the hub: {reason}"
        ) from error


def may_be_on_hub(source: str | Path) -> bool:
    """Say whether this can only be a name on the hub: neither it nor a folder OWNER is here."""
    path = Path(source)
    return bool(_NAME.fullmatch(str(source))) and not path.exists() and not path.parent.exists()


def check_name(name: str, kind: str = REPO_TYPE) -> None:
    """Raise HubError if this is no name of a dataset, or model."""
    if not _NAME.fullmatch(name):
        raise HubError(f"{name}: expected OWNER/NAME, the name of a {kind} on the hub")


def _fetch(name: str, revision: str | None, files: list[str], token: str | None) -> Path:
    with hub_errors(name):
        return Path(
            snapshot_download(
                name,
                repo_type=REPO_TYPE,
                revision=revision,
                allow_patterns=files,
                token=token,
                library_name="helixlm",
                library_version=__version__,
            )
        )


@contextmanager
def hub_errors(name: str, kind: str = REPO_TYPE) -> Iterator[None]:
    """Turn what goes wrong between here and the hub into a HubError of one line."""
    try:
        yield
    except HelixError:
        raise
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        raise HubError(f"{name}: {_reason(error, kind)}") from error


def _reason(error: Exception, kind: str) -> str:
    """Say in one line why the hub could not be used."""
    chain = list(_causes(error))
    if any(isinstance(cause, OfflineModeIsEnabled) for cause in chain):
        return "not in the cache, and HF_HUB_OFFLINE forbids to ask the hub: unset it"
    refusal = next((cause for cause in chain if isinstance(cause, HfHubHTTPError)), None)
    if isinstance(refusal, RevisionNotFoundError):
        return f"the {kind} has no such revision"
    if isinstance(refusal, RepositoryNotFoundError):
        return (
            f"no {kind} of this name on the hub that you have access to: look at the name, run "
            "'hf auth login', or set HF_TOKEN"
        )
    status = None if refusal is None else refusal.response.status_code
    if status == 401:
        return (
            "the hub wants a token, or does not know this one (401): run 'hf auth login' or set "
            "HF_TOKEN"
        )
    if status == 403:
        return "the token has no right to do this (403): use one that may write there"
    if status == 412:
        return f"the {kind} changed meanwhile (412): run again"
    if status is not None and status >= 500:
        return (
            f"the hub failed ({status}): run again later; what has arrived is not sent twice, and "
            "readers never see a part"
        )
    if refusal is None and any(isinstance(cause, HTTPError) for cause in chain):
        cached = (
            ", and it is not in the cache" if isinstance(error, LocalEntryNotFoundError) else ""
        )
        return f"the hub cannot be reached ({_first_line(chain[-1])}){cached}"
    told = " ".join(str(error).split())
    return told if len(chain) == 1 else f"{told.rstrip('.')} ({_first_line(chain[-1])})"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
