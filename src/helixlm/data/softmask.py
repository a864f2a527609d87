"""Which tokens of a token store are soft-masked: one bit a token, in a folder beside the store.

In: for each document of each split, in the order of the store, whether each of its tokens is
soft-masked. Out: a folder with ``train.bin`` and so on, bit i of a file (from the lowest bit of its
first byte on) being token i of the split, and a `manifest.json`. The store itself is as it was: who
does not ask for soft-masking neither writes nor reads this.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

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

_AT_ONCE = 1 << 20


class SoftmaskSplit(BaseModel, frozen=True, extra="forbid"):
    """The tokens of one split."""

    num_tokens: int
    num_soft: int
    """Soft-masked ones among them."""
    file: FileRecord


class SoftmaskManifest(Manifest):
    """What the bits belong to."""

    format: str = "helixlm softmask"
    format_version: int = 1
    helixlm_version: str = __version__
    tokenizer_sha256: str
    corpus_sha256: str
    splits: dict[str, SoftmaskSplit]

    @property
    def files(self) -> list[FileRecord]:
        """All data files."""
        return [split.file for split in self.splits.values()]


class SoftmaskBits:
    """The bits of one split, read through a memory map; only its path travels to workers.

    Attributes
    ----------
    num_tokens : int
        Tokens of the split.
    """

    def __init__(self, path: Path, num_tokens: int) -> None:
        self.path = path
        self.num_tokens = num_tokens
        self._map: NDArray[np.uint8] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_map": None}

    def tokens(self, start: int, stop: int) -> NDArray[np.bool_]:
        """Return whether tokens `start` to `stop` are soft-masked, bool, shape (stop - start,)."""
        if self._map is None:
            self._map = np.asarray(np.memmap(self.path, np.uint8, mode="r"))
        first = start // 8
        bits = np.unpackbits(self._map[first : -(-stop // 8)], bitorder="little")
        return bits[start - 8 * first : stop - 8 * first].astype(np.bool_)


def write_softmask(
    output: Path,
    documents: Mapping[str, Iterable[NDArray[np.bool_]]],
    *,
    tokenizer_sha256: str,
    corpus_sha256: str,
    progress: Callable[[int, int | None], None] | None = None,
) -> dict[str, SoftmaskBits]:
    """Write the bits of a store, or open those that are there.

    Parameters
    ----------
    output : Path
        The folder, which appears under its name when it is complete.
    documents : mapping of str to iterable of ndarray, bool
        For each split its documents; read once, one at a time, and only if there is no folder yet.
    tokenizer_sha256, corpus_sha256 : str
        Hashes of what the store was made with and from.
    progress : callable, optional
        Called as ``progress(documents_done, None)``.

    Returns
    -------
    dict of str to SoftmaskBits
        By split.

    Raises
    ------
    StateError
        If the folder belongs to another store, is damaged, or cannot be written.
    """
    if (output / MANIFEST).exists():
        found = read_manifest(output, SoftmaskManifest)
        refuse_differences(
            output,
            {
                "tokenizer": (found.tokenizer_sha256[:12], tokenizer_sha256[:12]),
                "corpus": (found.corpus_sha256[:12], corpus_sha256[:12]),
                "splits": (sorted(found.splits), sorted(documents)),
            },
        )
        check_files(output, found.files)
    else:
        done = 0

        def counted(stream: Iterable[NDArray[np.bool_]]) -> Iterable[NDArray[np.bool_]]:
            nonlocal done
            for document in stream:
                yield document
                done += 1
                if progress and done % 1024 == 0:
                    progress(done, None)

        with new_folder(output) as folder:
            found = SoftmaskManifest(
                tokenizer_sha256=tokenizer_sha256,
                corpus_sha256=corpus_sha256,
                splits={
                    split: _write_split(folder, f"{split}.bin", counted(stream))
                    for split, stream in documents.items()
                },
            )
            write_manifest(folder, found)
    return {
        name: SoftmaskBits(output.resolve() / split.file.file, split.num_tokens)
        for name, split in found.splits.items()
    }


def _write_split(folder: Path, name: str, documents: Iterable[NDArray[np.bool_]]) -> SoftmaskSplit:
    """Write one file, a million tokens at a time."""
    digest = hashlib.sha256()
    num_tokens = num_soft = num_bytes = held = 0
    batch: list[NDArray[np.bool_]] = []

    with (folder / name).open("wb") as file:

        def flush(last: bool) -> None:
            nonlocal batch, held, num_bytes
            bits = np.concatenate([*batch, np.zeros(0, np.bool_)])
            whole = len(bits) if last else len(bits) // 8 * 8
            data = np.packbits(bits[:whole], bitorder="little").tobytes()
            file.write(data)
            digest.update(data)
            num_bytes += len(data)
            batch, held = [bits[whole:]], len(bits) - whole

        for document in documents:
            batch.append(document)
            held += len(document)
            num_tokens += len(document)
            num_soft += int(np.count_nonzero(document))
            if held >= _AT_ONCE:
                flush(last=False)
        flush(last=True)
    record = FileRecord(file=name, bytes=num_bytes, sha256=digest.hexdigest())
    return SoftmaskSplit(num_tokens=num_tokens, num_soft=num_soft, file=record)
