"""Files of token ids: the documents of one split, written in a stream and read through maps.

In and out: documents, each a row of token ids. On disk: `tokens-00000.bin` and on, flat and
little-endian with nothing but ids in them, and `ends.npy`, the end of each document counted in
tokens through all files. A document never spans two files, so each is one slice of one map. What
a whole store is, and its manifest, belongs to `store.py`; and to `letters.py`, where a token is a
letter, its id the byte, and the files are `letters-00000.bin` and on.

Reading costs no memory but the pages that are touched, and a `DocumentStore` can be sent to
worker processes: only its paths travel, and each process opens the maps on first use.
"""

import contextlib
import hashlib
import shutil
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, Field

from helixlm.data.folder import FileRecord
from helixlm.errors import InputError

_BATCH_TOKENS = 1 << 18
_COUNT_AT_ONCE = 1 << 22


class StoreError(InputError):
    """A document that cannot be stored, or a request that the store cannot serve."""


class TokenFile(FileRecord):
    """One file of tokens."""

    documents: int = Field(gt=0)
    tokens: int = Field(gt=0)


class StoreSplit(BaseModel, frozen=True, extra="forbid"):
    """What one split of a store holds."""

    num_documents: int
    num_tokens: int
    ends: FileRecord
    shards: tuple[TokenFile, ...]


def store_dtype(vocab_size: int) -> np.dtype[Any]:
    """Return the little-endian type that holds all ids below `vocab_size`."""
    return np.dtype("<u2") if vocab_size <= 1 << 16 else np.dtype("<u4")


class _HashedFile:
    """A file that is written front to back, and the hash of what went in."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.bytes = 0
        self._digest = hashlib.sha256()
        self._stream: IO[bytes] = (folder / name).open("wb")

    def write(self, data: bytes) -> None:
        self._stream.write(data)
        self._digest.update(data)
        self.bytes += len(data)

    def close(self) -> None:
        self._stream.close()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


class DocumentWriter(contextlib.AbstractContextManager["DocumentWriter"]):
    """Writes the documents of one split; holds a quarter of a million tokens at a time.

    Parameters
    ----------
    folder : Path
        The folder of the store; the split becomes a folder in it.
    split : str
        Name of the split.
    vocab_size : int
        Ids must be below it.
    shard_tokens : int
        Most tokens in a file; a document that is longer gets a file for itself.
    dtype : numpy dtype, optional
        Of the ids; `store_dtype` if not given.
    stem : str
        What the names of the files begin with.
    """

    def __init__(
        self,
        folder: Path,
        split: str,
        vocab_size: int,
        shard_tokens: int,
        *,
        dtype: np.dtype[Any] | None = None,
        stem: str = "tokens",
    ) -> None:
        self.folder = folder
        self.split = split
        self.vocab_size = vocab_size
        self.shard_tokens = shard_tokens
        self.dtype = store_dtype(vocab_size) if dtype is None else dtype
        self.stem = stem
        self.num_documents = 0  # written; those of the batch come on top
        self.num_tokens = 0
        self._batch: list[NDArray[Any]] = []
        self._batch_tokens = 0
        self._files: list[TokenFile] = []
        self._file: _HashedFile | None = None
        self._file_documents = 0
        (folder / split).mkdir()
        # The header of a .npy file holds the count, which is known only at the end.
        self._raw_ends = (folder / split / "ends.raw").open("wb")

    def __exit__(self, *error: object) -> None:
        try:
            if self._file is not None:
                self._file.close()
        finally:
            self._raw_ends.close()

    def add(self, document: ArrayLike) -> None:
        """Take one document, int, shape (n,).

        Raises
        ------
        StoreError
            If it is not a row of at least one integer, or (perhaps at a later call) if an id
            is not in the vocabulary.
        """
        ids = np.array(document)  # a copy: the caller may use its buffer again
        if ids.ndim != 1 or ids.size == 0 or ids.dtype.kind not in "iu":
            raise StoreError(
                f"split {self.split!r}, document {self.num_documents + len(self._batch)}: expected "
                f"a row of at least one integer token id, found shape {ids.shape} of {ids.dtype}"
            )
        self._batch.append(ids)
        self._batch_tokens += ids.size
        if self._batch_tokens >= _BATCH_TOKENS:
            self._write_batch()

    def _write_batch(self) -> None:
        ids = np.concatenate(self._batch, dtype=np.int64, casting="unsafe")
        ends = np.cumsum([len(document) for document in self._batch])
        wrong = np.flatnonzero((ids < 0) | (ids >= self.vocab_size))
        if len(wrong):
            document = self.num_documents + int(np.searchsorted(ends, wrong[0], side="right"))
            raise StoreError(
                f"split {self.split!r}, document {document}: found token id {ids[wrong[0]]}, "
                f"expected 0 to {self.vocab_size - 1}: the tokenizer and vocab_size do not belong "
                "together"
            )
        data = ids.astype(self.dtype)
        document = start = 0
        while document < len(ends):
            if self._file is None:
                name = f"{self.split}/{self.stem}-{len(self._files):05d}.bin"
                self._file = _HashedFile(self.folder, name)
            room = self.shard_tokens - self._file.bytes // self.dtype.itemsize
            stop = int(np.searchsorted(ends, start + room, side="right"))  # documents that fit
            if stop == document and not self._file_documents:
                stop += 1  # longer than a file may be
            if stop > document:
                self._file.write(data[start : ends[stop - 1]].tobytes())
                self._file_documents += stop - document
                document, start = stop, int(ends[stop - 1])
            if document < len(ends):
                self._close_file()
        self._raw_ends.write((ends + self.num_tokens).astype("<i8").tobytes())
        self.num_documents += len(ends)
        self.num_tokens += len(ids)
        self._batch, self._batch_tokens = [], 0

    def _close_file(self) -> None:
        assert self._file is not None
        self._file.close()
        self._files.append(
            TokenFile(
                file=self._file.name,
                bytes=self._file.bytes,
                sha256=self._file.sha256,
                documents=self._file_documents,
                tokens=self._file.bytes // self.dtype.itemsize,
            )
        )
        self._file, self._file_documents = None, 0

    def finish(self) -> StoreSplit:
        """Write what is left, and say what was written.

        Raises
        ------
        StoreError
            If there was no document, or the last ones hold an id outside the vocabulary.
        """
        if self._batch:
            self._write_batch()
        if self._file is None:
            raise StoreError(f"split {self.split!r}: expected documents, found none")
        self._close_file()
        self._raw_ends.close()
        raw = self.folder / self.split / "ends.raw"
        ends = _HashedFile(self.folder, f"{self.split}/ends.npy")
        header = {"descr": "<i8", "fortran_order": False, "shape": (self.num_documents,)}
        with contextlib.closing(ends), raw.open("rb") as stream:
            np.lib.format.write_array_header_1_0(ends, header)
            shutil.copyfileobj(stream, ends, 1 << 20)
        raw.unlink()
        return StoreSplit(
            num_documents=self.num_documents,
            num_tokens=self.num_tokens,
            ends=FileRecord(file=ends.name, bytes=ends.bytes, sha256=ends.sha256),
            shards=tuple(self._files),
        )


class DocumentStore:
    """The documents of one split, read through memory maps.

    Attributes
    ----------
    num_documents, num_tokens : int
        How many there are.
    dtype : numpy dtype
        Of the ids, little-endian uint16 or uint32; uint8 for letters.
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

    def count_tokens(self, vocab_size: int) -> NDArray[np.int64]:
        """Return how often each id occurs in the split, int64, shape (vocab_size,)."""
        counts = np.zeros(vocab_size, dtype=np.int64)
        for start in range(0, self.num_tokens, _COUNT_AT_ONCE):
            ids = self.tokens(start, min(start + _COUNT_AT_ONCE, self.num_tokens))
            counts += np.bincount(ids, minlength=vocab_size)
        return counts

    def tokens(self, start: int, stop: int) -> NDArray[Any]:
        """Return tokens `start` to `stop` of the split, whatever documents they belong to.

        Returns
        -------
        ndarray of `dtype`, shape (stop - start,)
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
        ndarray of `dtype`, shape (sum of lengths,)
            A copy: ``concatenate([tokens(s, s + n) for s, n in zip(starts, lengths)])``.

        Raises
        ------
        StoreError
            If a range is not within the split.
        """
        start_R = np.asarray(starts, dtype=np.int64)
        length_R = np.asarray(lengths, dtype=np.int64)
        wrong = start_R.ndim != 1 or start_R.shape != length_R.shape
        if not wrong:
            wrong = bool(np.any((start_R < 0) | (length_R < 0)))
            wrong |= bool(np.any(start_R + length_R > self.num_tokens))
        if wrong:
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
