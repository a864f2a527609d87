"""The token store: a tokenized corpus as flat integers in memory-mapped files.

In: documents, each an array of token ids without special tokens, in the order of the corpus.
Out: a folder with the files of each split (see `documents.py`) and a `manifest.json` that names the
tokenizer and the corpus by their hashes. Special tokens, packing and masking are added by
`train`, so one store serves them all.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from helixlm.data.documents import (
    DocumentStore,
    DocumentWriter,
    StoreError,
    StoreSplit,
    store_dtype,
)
from helixlm.data.folder import (
    MANIFEST,
    FileRecord,
    Manifest,
    check_files,
    new_folder,
    read_manifest,
    refuse_differences,
    write_manifest,
)
from helixlm.version import __version__

__all__ = [
    "DocumentStore",
    "StoreError",
    "StoreManifest",
    "TokenStore",
    "open_store",
    "write_splits",
    "write_store",
]

logger = logging.getLogger(__name__)

_PROGRESS_DOCUMENTS = 1024


class SplitsManifest(Manifest):
    """A manifest of documents in splits."""

    splits: dict[str, StoreSplit]

    @property
    def files(self) -> list[FileRecord]:
        """All data files."""
        return [r for split in self.splits.values() for r in (*split.shards, split.ends)]


class StoreManifest(SplitsManifest):
    """What a token store holds and what it was made from."""

    format: str = "helixlm token store"
    format_version: int = 1
    helixlm_version: str = __version__
    vocab_size: int
    """Every id is below it."""
    dtype: str
    """"uint16" or "uint32"."""
    tokenizer_sha256: str
    corpus_sha256: str
    shard_tokens: int
    """Most tokens in a file, unless a single document has more."""


def write_store(
    output: str | Path,
    documents: Mapping[str, Iterable[ArrayLike]],
    *,
    vocab_size: int,
    tokenizer_sha256: str,
    corpus_sha256: str,
    shard_tokens: int = 2**28,
    progress: Callable[[int, int | None], None] | None = None,
) -> StoreManifest:
    """Write a token store.

    The folder appears under its name when it is complete. If it exists already and was made with
    the same arguments, its manifest is returned and `documents` is not read.

    Parameters
    ----------
    output : path
        The folder to write.
    documents : mapping of str to iterable of int array, shape (n,)
        For each split, its documents: token ids, no special tokens, at least one id each. Read
        once, one document at a time.
    vocab_size : int
        Ids must be below it. Up to 65,536 they are stored in 2 bytes, else in 4.
    tokenizer_sha256, corpus_sha256 : str
        Hashes of what the documents were made with and from; kept in the manifest.
    shard_tokens : int
        Most tokens in a file. A document that is longer gets a file for itself.
    progress : callable, optional
        Called as ``progress(documents_done, None)``.

    Returns
    -------
    StoreManifest
        The manifest of the finished store.

    Raises
    ------
    StoreError
        If an id is outside the vocabulary, or a document or a split is empty.
    StateError
        If the folder exists and was made with other arguments, or the disk is full.
    """
    output = Path(output)
    if not documents:
        raise StoreError("documents: expected at least one split, found none")
    if not 0 < vocab_size <= 1 << 32:
        raise StoreError(f"vocab_size {vocab_size}: expected 1 to 2**32")
    if shard_tokens < 1:
        raise StoreError(f"shard_tokens {shard_tokens}: expected at least 1")
    for split in documents:
        if not split or split.startswith(".") or "/" in split:
            raise StoreError(f"split {split!r}: expected a name that can be a folder")
    if (output / MANIFEST).exists():
        found = read_manifest(output, StoreManifest)
        refuse_differences(
            output,
            {
                "vocabulary size": (found.vocab_size, vocab_size),
                "tokenizer": (found.tokenizer_sha256[:12], tokenizer_sha256[:12]),
                "corpus": (found.corpus_sha256[:12], corpus_sha256[:12]),
                "splits": (sorted(found.splits), sorted(documents)),
                "tokens in a shard": (found.shard_tokens, shard_tokens),
            },
        )
        check_files(output, found.files)
        logger.info("%s: the token store is there already", output)
        return found
    with new_folder(output) as folder:
        splits = write_splits(
            folder,
            documents,
            vocab_size=vocab_size,
            shard_tokens=shard_tokens,
            progress=progress,
        )
        manifest = StoreManifest(
            vocab_size=vocab_size,
            dtype=store_dtype(vocab_size).newbyteorder("=").name,
            tokenizer_sha256=tokenizer_sha256,
            corpus_sha256=corpus_sha256,
            shard_tokens=shard_tokens,
            splits=splits,
        )
        write_manifest(folder, manifest)
    return manifest


def write_splits(
    folder: Path,
    documents: Mapping[str, Iterable[ArrayLike]],
    *,
    vocab_size: int,
    shard_tokens: int,
    dtype: np.dtype[Any] | None = None,
    stem: str = "tokens",
    progress: Callable[[int, int | None], None] | None = None,
) -> dict[str, StoreSplit]:
    """Write the documents of each split into a folder; see `DocumentWriter`.

    Parameters
    ----------
    folder : Path
        An empty folder.
    documents : mapping of str to iterable of int array, shape (n,)
        For each split, its documents; read once, one at a time.
    vocab_size, shard_tokens, dtype, stem
        As for `DocumentWriter`.
    progress : callable, optional
        Called as ``progress(documents_done, None)``, and with the total at the end.

    Returns
    -------
    dict of str to StoreSplit
        What was written.

    Raises
    ------
    StoreError
        If an id is not below `vocab_size`, or a document or a split is empty.
    """
    splits: dict[str, StoreSplit] = {}
    done = 0
    for split, stream in documents.items():
        with DocumentWriter(
            folder, split, vocab_size, shard_tokens, dtype=dtype, stem=stem
        ) as writer:
            for document in stream:
                writer.add(document)
                done += 1
                if progress and done % _PROGRESS_DOCUMENTS == 0:
                    progress(done, None)
            splits[split] = writer.finish()
    if progress:
        progress(done, done)
    return splits


class SplitStore:
    """An open store of documents in splits.

    Attributes
    ----------
    path : Path
        Its folder.
    dtype : numpy dtype
        Of the documents.
    """

    def __init__(self, path: Path, manifest: SplitsManifest, dtype: np.dtype[Any]) -> None:
        self.path = path
        self.dtype = dtype
        self._contents = manifest

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, in the order in which they were written."""
        return tuple(self._contents.splits)

    def split(self, name: str) -> DocumentStore:
        """Return the documents of one split.

        Raises
        ------
        StoreError
            If there is no such split.
        """
        if name not in self._contents.splits:
            raise StoreError(f"{self.path}: no split {name!r}; found {', '.join(self.splits)}")
        return DocumentStore(self.path, self._contents.splits[name], self.dtype)

    def verify(self) -> None:
        """Read every file and compare it with its hash in the manifest.

        Raises
        ------
        StateError
            If a file is missing or is not what was written.
        """
        check_files(self.path, self._contents.files, contents=True)


class TokenStore(SplitStore):
    """An open token store; see `SplitStore`.

    Attributes
    ----------
    manifest : StoreManifest
        What it holds and what it was made from.
    """

    def __init__(self, path: Path, manifest: StoreManifest) -> None:
        super().__init__(path, manifest, store_dtype(manifest.vocab_size))
        self.manifest = manifest


def open_store(path: str | Path) -> TokenStore:
    """Open a token store for reading.

    Parameters
    ----------
    path : path
        The folder that `write_store` wrote.

    Returns
    -------
    TokenStore
        The store; its files are present and of the size that the manifest says.

    Raises
    ------
    StateError
        If the folder is not a token store that this version can read, or is damaged.
    """
    folder = Path(path).resolve()
    manifest = read_manifest(folder, StoreManifest)
    check_files(folder, manifest.files)
    return TokenStore(folder, manifest)
