"""The letter store: the sequences of a corpus as plain bytes in memory-mapped files.

In: the sequences of each split, in the order of the corpus. Out: a folder with the files of each
split (see `documents.py`), one byte a letter in ASCII with its case, and a `manifest.json` that
names the corpus by its hash. It stands where `store.py` has tokens: for training that draws its
windows while it runs, so that there is nothing to tokenize beforehand.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from helixlm.data.documents import StoreError
from helixlm.data.folder import (
    MANIFEST,
    check_files,
    new_folder,
    read_manifest,
    refuse_differences,
    write_manifest,
)
from helixlm.data.store import SplitsManifest, SplitStore, write_splits
from helixlm.seq.alphabet import DNA, AlphabetError
from helixlm.version import __version__

logger = logging.getLogger(__name__)

SHARD_LETTERS = 1 << 30
"""Most letters in a file, unless a single sequence has more."""

_ASCII = 128
_BYTE = np.dtype("u1")


class LetterManifest(SplitsManifest):
    """What a letter store holds: a document is a sequence, a token a letter."""

    format: str = "helixlm letter store"
    format_version: int = 1
    helixlm_version: str = __version__
    corpus_sha256: str


def write_letters(
    output: str | Path,
    sequences: Mapping[str, Iterable[str]],
    *,
    corpus_sha256: str,
    progress: Callable[[int, int | None], None] | None = None,
) -> LetterManifest:
    """Write a letter store.

    The folder appears under its name when it is complete. If it exists already and was made from
    the same corpus, its manifest is returned and `sequences` is not read.

    Parameters
    ----------
    output : path
        The folder to write.
    sequences : mapping of str to iterable of str
        For each split, its sequences in IUPAC letters of either case, at least one letter each.
        Read once, one at a time.
    corpus_sha256 : str
        Hash of what the sequences were made from; kept in the manifest.
    progress : callable, optional
        Called as ``progress(sequences_done, None)``, and with the total at the end.

    Returns
    -------
    LetterManifest
        The manifest of the finished store.

    Raises
    ------
    StoreError
        If a sequence is empty or holds another letter, or a split has none.
    StateError
        If the folder exists and was made from another corpus, or the disk is full.
    """
    output = Path(output)
    if (output / MANIFEST).exists():
        found = read_manifest(output, LetterManifest)
        refuse_differences(
            output,
            {
                "corpus": (found.corpus_sha256[:12], corpus_sha256[:12]),
                "splits": (sorted(found.splits), sorted(sequences)),
            },
        )
        check_files(output, found.files)
        logger.info("%s: the letter store is there already", output)
        return found
    with new_folder(output) as folder:
        splits = write_splits(
            folder,
            {split: _letters(split, stream) for split, stream in sequences.items()},
            vocab_size=_ASCII,
            shard_tokens=SHARD_LETTERS,
            dtype=_BYTE,
            stem="letters",
            progress=progress,
        )
        manifest = LetterManifest(corpus_sha256=corpus_sha256, splits=splits)
        write_manifest(folder, manifest)
    return manifest


def _letters(split: str, sequences: Iterable[str]) -> Iterator[NDArray[np.uint8]]:
    """Yield the bytes of each sequence, which can then be turned around without a check."""
    for number, sequence in enumerate(sequences):
        place = f"split {split!r}, sequence {number}"
        if not sequence:
            raise StoreError(f"{place}: expected at least one letter, found none")
        try:
            DNA.encode(sequence)
        except AlphabetError as error:
            raise StoreError(f"{place}: {error}") from error
        yield np.frombuffer(sequence.encode("ascii"), dtype=np.uint8)


class LetterStore(SplitStore):
    """An open letter store; see `SplitStore`. Each letter is its ASCII code, uint8.

    Attributes
    ----------
    manifest : LetterManifest
        What it holds and what it was made from.
    """

    def __init__(self, path: Path, manifest: LetterManifest) -> None:
        super().__init__(path, manifest, _BYTE)
        self.manifest = manifest


def open_letters(path: str | Path) -> LetterStore:
    """Open a letter store for reading.

    Parameters
    ----------
    path : path
        The folder that `write_letters` wrote.

    Returns
    -------
    LetterStore
        The store; its files are present and of the size that the manifest says.

    Raises
    ------
    StateError
        If the folder is not a letter store that this version can read, or is damaged.
    """
    folder = Path(path).resolve()
    manifest = read_manifest(folder, LetterManifest)
    check_files(folder, manifest.files)
    return LetterStore(folder, manifest)
