"""Files of a repository on the Hugging Face hub, made what they should be in one change.

Comes in: a name ``OWNER/NAME`` and all files that it is to hold. Goes out: a commit, of what was
not there yet. Whoever reads meanwhile gets the old files or the new ones, never a mixture. What the
files are is told by `hub.py` for corpora and by `hub_model.py` for models.
"""

import hashlib
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.hf_api import RepoFile

from helixlm.data.hub import HubError, hub_errors
from helixlm.version import __version__

CARD = "README.md"
COMMIT_FILES = 250
"""Files of a commit: the hub gives up after a minute, and its own client begins with so many."""


class PushResult(NamedTuple):
    """What a push has done."""

    url: str
    revision: str
    """The commit that holds the files."""
    sent: int
    """Files that were not there, or were others."""
    deleted: int
    """Files of what was there before."""


def push_files(
    name: str,
    wanted: Sequence[CommitOperationAdd],
    *,
    kind: str,
    message: str,
    is_ours: Callable[[str], bool],
    check: Callable[[HfApi, str, str, Collection[str]], None],
    private: bool = False,
    token: str | None = None,
) -> PushResult:
    """Make a repository hold these files, and none of ours besides.

    Parameters
    ----------
    name : str
        ``OWNER/NAME``; the repository is made if it does not exist.
    wanted : sequence of CommitOperationAdd
        All files.
    kind : {"dataset", "model"}
        What sort of repository it is.
    message : str
        Of the commit.
    is_ours : callable
        Whether a path that is there and not wanted is to be deleted.
    check : callable
        Given the client, the name, the newest commit and the paths there, raises HubError if the
        repository holds something else.
    private : bool
        Make a repository that only its owner sees. One that exists must be so already.
    token : str, optional
        An access token; by default that of ``hf auth login`` or HF_TOKEN.

    Returns
    -------
    PushResult
        Where it is, and what was done.

    Raises
    ------
    HubError
        If the repository holds something else, or the hub refuses or fails.
    """
    api = HfApi(token=token, library_name="helixlm", library_version=__version__)
    with hub_errors(name, kind):
        # None leaves it to what the owner has chosen for new repositories.
        url = api.create_repo(name, repo_type=kind, private=private or None, exist_ok=True)
        there = api.repo_info(name, repo_type=kind)
        head = str(there.sha)
        if private and not there.private:
            raise HubError(f"{name}: expected a private {kind}, found a public one: {url}")
        tree = api.list_repo_tree(name, repo_type=kind, revision=head, recursive=True)
        found = {file.path: file for file in tree if isinstance(file, RepoFile)}
        check(api, name, head, found)
        new = [file for file in wanted if not _is_there(file, found.get(file.path_in_repo))]
        kept = {file.path_in_repo for file in wanted}
        old = [
            CommitOperationDelete(path, is_folder=False)
            for path in found
            if path not in kept and is_ours(path)
        ]
        operations: list[CommitOperationAdd | CommitOperationDelete] = [*old, *new]
        revision = _commit(api, name, kind, head, operations, message) if operations else head
    return PushResult(str(url), revision, len(new), len(old))


def _is_there(file: CommitOperationAdd, found: RepoFile | None) -> bool:
    """Say whether the dataset has a file with these contents."""
    if found is None:
        return False
    if found.lfs is not None:
        return found.lfs.sha256 == file.upload_info.sha256.hex()
    with file.as_file() as stream:
        content = stream.read()
    return found.blob_id == hashlib.sha1(b"blob %d\0%b" % (len(content), content)).hexdigest()


def _commit(
    api: HfApi,
    name: str,
    kind: str,
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
        repo_type=kind,
        parent_commit=head,
        create_pr=request,
    )
    if not request:
        return first.oid
    for part in parts[1:]:
        api.create_commit(
            name, part, commit_message=message, repo_type=kind, revision=first.pr_revision
        )
    if api.repo_info(name, repo_type=kind).sha != head:
        raise HubError(f"{name}: the {kind} changed meanwhile: run again ({first.pr_url})")
    assert first.pr_num is not None
    api.merge_pull_request(name, first.pr_num, repo_type=kind)
    return str(api.repo_info(name, repo_type=kind).sha)
