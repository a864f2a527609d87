"""The token store: tokenized documents as flat integers in memory-mapped files.

In: documents, each an array of token ids without special tokens, in the order of the corpus.
Out: a folder with, for each split, `tokens-00000.bin` and on (little-endian, nothing but ids),
`ends.npy` (where each document ends, counted in tokens through all shards), and a
`manifest.json`. A document never spans two shards, so each is one slice of one map. Special
tokens, packing and masking are added by `train`, so one store serves them all.

Reading costs no memory but the pages that are touched, and a `DocumentStore` can be sent to
worker processes: only its paths travel, and each process opens the maps on first use.
"""

import hashlib
import logging
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, Field

from helixlm.data.folder import (
    FileRecord,
    Manifest,
    check_files,
    new_folder,
    read_manifest,
    refuse_differences,
    write_manifest,
)
from helixlm.errors import InputError
from helixlm.version import __version__

logger = logging.getLogger(__name__)

_ENDS = "ends.npy"
_PROGRESS_DOCUMENTS = 1024


class StoreError(InputError):
    """A document that cannot be stored, or a request that the store cannot serve."""


class Shard(FileRecord):
    """One file of tokens."""

    documents: int = Field(gt=0)
    tokens: int = Field(gt=0)


class StoreSplit(BaseModel, frozen=True, extra="forbid"):
    """What one split of a store holds."""

    num_documents: int
    num_tokens: int
    ends: FileRecord
    shards: tuple[Shard, ...]


class StoreManifest(Manifest):
    """What a token store holds and what it was made from."""

    format: str = "helixlm token store"
    format_version: int = 1
    helixlm_version: str = __version__
    vocab_size: int  # every id is below it
    dtype: str  # "uint16" or "uint32"
    tokenizer_sha256: str
    corpus_sha256: str
    shard_tokens: int  # a shard is closed before the document that would bring it above this
    splits: dict[str, StoreSplit]


def store_dtype(vocab_size: int) -> np.dtype[Any]:
    """Return the little-endian type that holds all ids below `vocab_size`."""
    return np.dtype("<u2") if vocab_size <= 1 << 16 else np.dtype("<u4")


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
    if (output / "manifest.json").exists():
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
        check_files(output, _records(found))
        logger.info("%s: the token store is there already", output)
        return found
    dtype = store_dtype(vocab_size)
    with new_folder(output) as folder:
        splits: dict[str, StoreSplit] = {}
        done = 0
        for split, stream in documents.items():
            writer = _SplitWriter(folder, split, dtype, vocab_size, shard_tokens)
            with writer:
                for document in stream:
                    writer.add(document)
                    done += 1
                    if progress and done % _PROGRESS_DOCUMENTS == 0:
                        progress(done, None)
            splits[split] = writer.finish()
        if progress:
            progress(done, done)
        manifest = StoreManifest(
            vocab_size=vocab_size,
            dtype=dtype.newbyteorder("=").name,
            tokenizer_sha256=tokenizer_sha256,
            corpus_sha256=corpus_sha256,
            shard_tokens=shard_tokens,
            splits=splits,
        )
        write_manifest(folder, manifest)
    return manifest


class _HashedFile:
    """A file that is written front to back, and the hash of what went in."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.bytes = 0
        self._digest = hashlib.sha256()
        self._stream: IO[bytes] = (folder / name).open("wb", buffering=1 << 20)

    def write(self, data: bytes) -> None:
        self._stream.write(data)
        self._digest.update(data)
        self.bytes += len(data)

    def close(self) -> None:
        self._stream.close()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


class _SplitWriter:
    """Writes the documents of one split; holds no more than the one at hand."""

    def __init__(
        self, folder: Path, split: str, dtype: np.dtype[Any], vocab_size: int, shard_tokens: int
    ) -> None:
        self.split = split
        self.folder = folder
        self.dtype = dtype
        self.vocab_size = vocab_size
        self.shard_tokens = shard_tokens
        self.shards: list[Shard] = []
        self.num_documents = 0
        self.num_tokens = 0
        self.shard: _HashedFile | None = None
        self.shard_documents = 0
        (folder / split).mkdir()
        # The header of a .npy file holds the count, which is known only at the end.
        self.raw_ends = (folder / split / "ends.raw").open("wb", buffering=1 << 20)

    def __enter__(self) -> "_SplitWriter":
        return self

    def __exit__(self, *error: object) -> None:
        try:
            if self.shard is not None:
                self.shard.close()
        finally:
            self.raw_ends.close()

    def add(self, document: ArrayLike) -> None:
        ids = np.asarray(document)
        place = f"split {self.split!r}, document {self.num_documents}"
        if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
            raise StoreError(
                f"{place}: expected a row of integer token ids, found shape {ids.shape} of "
                f"{ids.dtype}"
            )
        if ids.size == 0:
            raise StoreError(f"{place}: expected at least one token, found none")
        low, high = int(ids.min()), int(ids.max())
        if low < 0 or high >= self.vocab_size:
            raise StoreError(
                f"{place}: found token id {low if low < 0 else high}, expected 0 to "
                f"{self.vocab_size - 1}: the tokenizer and vocab_size do not belong together"
            )
        data = ids.astype(self.dtype).tobytes()
        full = self.shard_tokens * self.dtype.itemsize
        if self.shard is not None and self.shard.bytes + len(data) > full:
            self._close_shard()
        if self.shard is None:
            name = f"{self.split}/tokens-{len(self.shards):05d}.bin"
            self.shard = _HashedFile(self.folder, name)
        self.shard.write(data)
        self.shard_documents += 1
        self.num_documents += 1
        self.num_tokens += ids.size
        self.raw_ends.write(np.int64(self.num_tokens).astype("<i8").tobytes())

    def _close_shard(self) -> None:
        assert self.shard is not None
        self.shard.close()
        self.shards.append(
            Shard(
                file=self.shard.name,
                bytes=self.shard.bytes,
                sha256=self.shard.sha256,
                documents=self.shard_documents,
                tokens=self.shard.bytes // self.dtype.itemsize,
            )
        )
        self.shard = None
        self.shard_documents = 0

    def finish(self) -> StoreSplit:
        if self.num_documents == 0:
            raise StoreError(f"split {self.split!r}: expected documents, found none")
        self._close_shard()
        raw = self.folder / self.split / "ends.raw"
        ends = _HashedFile(self.folder, f"{self.split}/{_ENDS}")
        header = {"descr": "<i8", "fortran_order": False, "shape": (self.num_documents,)}
        np.lib.format.write_array_header_1_0(ends, header)
        with raw.open("rb") as stream:
            shutil.copyfileobj(stream, ends, 1 << 20)
        ends.close()
        raw.unlink()
        return StoreSplit(
            num_documents=self.num_documents,
            num_tokens=self.num_tokens,
            ends=FileRecord(file=ends.name, bytes=ends.bytes, sha256=ends.sha256),
            shards=tuple(self.shards),
        )


def _records(manifest: StoreManifest) -> list[FileRecord]:
    return [r for split in manifest.splits.values() for r in (*split.shards, split.ends)]


class DocumentStore:
    """The documents of one split, read through memory maps.

    Attributes
    ----------
    num_documents, num_tokens : int
        How many there are.
    dtype : numpy dtype
        Of the ids, little-endian uint16 or uint32.
    """

    def __init__(self, folder: Path, split: StoreSplit, dtype: np.dtype[Any]) -> None:
        self.num_documents = split.num_documents
        self.num_tokens = split.num_tokens
        self.dtype = dtype
        self._ends_file = folder / split.ends.file
        self._files = [folder / shard.file for shard in split.shards]
        self._first_token = np.cumsum([0, *(s.tokens for s in split.shards)], dtype=np.int64)
        self._open()

    def _open(self) -> None:
        self._maps: dict[int, NDArray[Any]] = {}
        self._ends: NDArray[np.int64] | None = None
        self._lengths: NDArray[np.int64] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_maps", "_ends", "_lengths")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    def __len__(self) -> int:
        return self.num_documents

    @property
    def ends(self) -> NDArray[np.int64]:
        """Where each document ends, counted in tokens of the split, int64, shape (N,)."""
        if self._ends is None:
            self._ends = np.asarray(np.load(self._ends_file, mmap_mode="r"))
        return self._ends

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens in each document, int64, shape (N,); kept in memory, 8 bytes a document."""
        if self._lengths is None:
            self._lengths = np.diff(self.ends, prepend=0)
            self._lengths.flags.writeable = False
        return self._lengths

    def _shard(self, index: int) -> NDArray[Any]:
        if index not in self._maps:
            self._maps[index] = np.asarray(np.memmap(self._files[index], self.dtype, mode="r"))
        return self._maps[index]

    def document(self, index: int) -> NDArray[Any]:
        """Return the ids of one document: a read-only view of the map, shape (n,).

        Raises
        ------
        StoreError
            If there is no such document; negative indices are not allowed.
        """
        if not 0 <= index < self.num_documents:
            raise StoreError(f"document {index}: expected 0 to {self.num_documents - 1}")
        start = int(self.ends[index - 1]) if index else 0
        return self.tokens(start, int(self.ends[index]))

    def tokens(self, start: int, stop: int) -> NDArray[Any]:
        """Return tokens `start` to `stop` of the split, whatever documents they belong to.

        Returns
        -------
        ndarray, uint16 or uint32, shape (stop - start,)
            A read-only view where the range lies in one shard, else a copy.

        Raises
        ------
        StoreError
            If the range is not within the split.
        """
        if not 0 <= start <= stop <= self.num_tokens:
            raise StoreError(
                f"tokens {start} to {stop}: expected a range of 0 to {self.num_tokens}"
            )
        first = self._first_token
        shard = int(np.searchsorted(first, start, side="right")) - 1
        parts = []
        while start < stop:
            end = min(stop, int(first[shard + 1]))
            parts.append(self._shard(shard)[start - first[shard] : end - first[shard]])
            start, shard = end, shard + 1
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.empty(0, self.dtype)

    def gather(self, starts: ArrayLike, lengths: ArrayLike) -> NDArray[Any]:
        """Return many ranges of tokens one after the other.

        Parameters
        ----------
        starts, lengths : array-like, int, shape (R,)
            First token of each range, counted through the split, and its number of tokens.

        Returns
        -------
        ndarray, uint16 or uint32, shape (sum of lengths,)
            A copy: ``concatenate([tokens(s, s + n) for s, n in zip(starts, lengths)])``.

        Raises
        ------
        StoreError
            If a range is not within the split.
        """
        start_R = np.asarray(starts, dtype=np.int64)
        length_R = np.asarray(lengths, dtype=np.int64)
        wrong = (start_R < 0) | (length_R < 0) | (start_R + length_R > self.num_tokens)
        if start_R.shape != length_R.shape or start_R.ndim != 1 or wrong.any():
            raise StoreError(f"gather: expected ranges of 0 to {self.num_tokens}")
        # Output position p of range r is token start[r] + p - (tokens of the ranges before it).
        before_R = np.cumsum(length_R) - length_R
        index = np.repeat(start_R - before_R, length_R)
        index += np.arange(len(index))
        if len(self._files) == 1:
            return self._shard(0)[index]
        shard_of = np.searchsorted(self._first_token, index, side="right") - 1
        flat = np.empty(len(index), self.dtype)
        for shard in np.unique(shard_of).tolist():
            here = shard_of == shard
            flat[here] = self._shard(shard)[index[here] - self._first_token[shard]]
        return flat


class TokenStore:
    """An open token store.

    Attributes
    ----------
    path : Path
        Its folder.
    manifest : StoreManifest
        What it holds and what it was made from.
    """

    def __init__(self, path: Path, manifest: StoreManifest) -> None:
        self.path = path
        self.manifest = manifest

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, in the order in which they were written."""
        return tuple(self.manifest.splits)

    def split(self, name: str) -> DocumentStore:
        """Return the documents of one split.

        Raises
        ------
        StoreError
            If there is no such split.
        """
        if name not in self.manifest.splits:
            raise StoreError(f"{self.path}: no split {name!r}; found {', '.join(self.splits)}")
        dtype = store_dtype(self.manifest.vocab_size)
        return DocumentStore(self.path, self.manifest.splits[name], dtype)

    def verify(self) -> None:
        """Read every file and compare it with its hash in the manifest.

        Raises
        ------
        StateError
            If a file is missing or is not what was written.
        """
        check_files(self.path, _records(self.manifest), contents=True)


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
    check_files(folder, _records(manifest))
    return TokenStore(folder, manifest)
