"""The stages between a FASTA file and a store of tokens or letters, each skipped when it is done.

A stage writes a folder that appears whole under its name, so a stage whose folder is there is
done; what it was made with stands in its manifest and is compared.
"""

import logging
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from helixlm.data.corpus.base import Corpus
from helixlm.data.folder import (
    MANIFEST,
    Manifest,
    new_folder,
    read_manifest,
    refuse_differences,
    write_manifest,
)
from helixlm.data.letters import LetterStore, open_letters, write_letters
from helixlm.data.store import TokenStore, open_store, write_store
from helixlm.errors import StateError
from helixlm.pipeline.progress import Reporter
from helixlm.tokenizers.base import Tokenizer, TokenizerConfig, in_its_case
from helixlm.tokenizers.build import build_tokenizer
from helixlm.tokenizers.hf import load_tokenizer
from helixlm.train.batches import Vocabulary
from helixlm.version import __version__

logger = logging.getLogger(__name__)

ENCODE_AT_ONCE = 2048


class TokenizerManifest(Manifest):
    """What the tokenizer of a run was made with; transformers does not read this file."""

    format: str = "helixlm tokenizer"
    format_version: int = 1
    helixlm_version: str = __version__
    tokenizer_sha256: str
    """Hash of the bytes of tokenizer.json."""
    corpus_sha256: str
    """Of the corpus whose training windows it was trained on."""
    settings: TokenizerConfig


def vocabulary_of(tokenizer: Tokenizer) -> Vocabulary:
    """Return what batches need to know of a tokenizer.

    Raises
    ------
    StateError
        If the tokenizer has no mask or no padding token.
    """
    special = tokenizer.special
    if special.mask is None or special.pad is None:
        raise StateError(
            "the tokenizer has no mask or no padding token, and masked pretraining needs both: "
            "choose another tokenizer"
        )
    return Vocabulary(
        size=tokenizer.vocab_size,
        bos=special.bos,
        eos=special.eos,
        pad=special.pad,
        mask=special.mask,
        special=tuple(int(x) for x in tokenizer.special_ids),
        token_bp=np.maximum(tokenizer.token_bp - tokenizer.overlap_bp, 0),
        overlap_bp=tokenizer.overlap_bp,
    )


def make_tokenizer(
    corpus: Corpus, config: TokenizerConfig, output: Path, report: Reporter
) -> Tokenizer:
    """Train a tokenizer on the training windows of a corpus, or load the one that is there.

    Parameters
    ----------
    corpus : Corpus
        What to train on.
    config : TokenizerConfig
        What to make.
    output : Path
        The folder, which holds a `manifest.json` besides the tokenizer's own files.
    report : Reporter
        Where to show progress.

    Returns
    -------
    Tokenizer
        As loaded from `output`.

    Raises
    ------
    StateError
        If the folder holds a tokenizer that was made from another corpus or with other settings.
    """
    if (output / "tokenizer.json").exists():
        found = load_tokenizer(output)
        _check_origin(found, corpus, config, output)
        return found
    with report.stage("Training the tokenizer") as progress:
        tokenizer = build_tokenizer(config, corpus.iter_sequences("train"), progress=progress)
    with new_folder(output) as folder:
        tokenizer.save(folder)
        write_manifest(
            folder,
            TokenizerManifest(
                tokenizer_sha256=tokenizer.sha256,
                corpus_sha256=corpus.manifest.corpus_sha256,
                settings=config,
            ),
        )
    return load_tokenizer(output)


def _check_origin(
    tokenizer: Tokenizer, corpus: Corpus, config: TokenizerConfig, output: Path
) -> None:
    """Refuse a tokenizer that was not made from this corpus with these settings."""
    if not (output / MANIFEST).exists():
        if (output.with_name("store") / MANIFEST).exists():
            return  # A folder of an earlier version: `make_store` compares tokenizer and corpus.
        raise StateError(
            f"{output}: holds a tokenizer but no {MANIFEST}, so it is not known which corpus it "
            f"was made from: delete the folder, and the tokenizer is made anew"
        )
    found = read_manifest(output, TokenizerManifest)
    pairs: dict[str, tuple[object, object]] = {
        "tokenizer.json": (found.tokenizer_sha256[:12], tokenizer.sha256[:12]),
        "corpus": (found.corpus_sha256[:12], corpus.manifest.corpus_sha256[:12]),
    }
    pairs |= {
        name: (getattr(found.settings, name), getattr(config, name))
        for name in TokenizerConfig.model_fields
    }
    refuse_differences(output, pairs)


def make_store(
    corpus: Corpus,
    tokenizer: Tokenizer,
    output: Path,
    report: Reporter,
    splits: Sequence[str] | None = None,
) -> TokenStore:
    """Encode every window of a corpus, or of some splits, into a store, or open the one there."""
    splits = list(corpus.manifest.splits) if splits is None else splits
    total = sum(corpus.num_windows(split) for split in splits)
    _say_case(tokenizer)
    with report.stage("Encoding the corpus", total) as progress:
        write_store(
            output,
            {split: encode_documents(tokenizer, corpus.iter_sequences(split)) for split in splits},
            vocab_size=tokenizer.vocab_size,
            tokenizer_sha256=tokenizer.sha256,
            corpus_sha256=corpus.manifest.corpus_sha256,
            progress=progress,
        )
    return open_store(output)


def make_letters(
    corpus: Corpus,
    tokenizer: Tokenizer,
    output: Path,
    report: Reporter,
    splits: Sequence[str] | None = None,
) -> LetterStore:
    """Copy every window of a corpus, or of some splits, into a letter store, or open the one there.

    The tokenizer encodes what training draws; here it only tells what it makes of lower case.
    """
    splits = list(corpus.manifest.splits) if splits is None else splits
    total = sum(corpus.num_windows(split) for split in splits)
    _say_case(tokenizer)
    with report.stage("Copying the letters of the corpus", total) as progress:
        write_letters(
            output,
            {split: corpus.iter_sequences(split) for split in splits},
            corpus_sha256=corpus.manifest.corpus_sha256,
            progress=progress,
        )
    return open_letters(output)


def _say_case(tokenizer: Tokenizer) -> None:
    if tokenizer.keeps_case:
        logger.info("the tokenizer knows no lower case: soft-masked bases are given in upper case")


def encode_documents(tokenizer: Tokenizer, sequences: Iterator[str]) -> Iterator[NDArray[np.int32]]:
    """Yield the token ids of each sequence in its tokenizer's case, encoding many at a time.

    Raises
    ------
    StateError
        If a sequence has no token, as one that is shorter than an overlapping k-mer.
    """
    number = 0
    while batch := list(islice(sequences, ENCODE_AT_ONCE)):
        encoded = tokenizer.encode_batch(in_its_case(tokenizer, batch))
        for sequence, ids in zip(batch, encoded, strict=True):
            if not len(ids):
                raise StateError(
                    f"sequence {number} of {len(sequence)} letters has no token: this tokenizer's "
                    f"overlapping words have {tokenizer.overlap_bp + 1} letters, expected at least "
                    "as many: raise windows.min_bp, or choose a smaller k"
                )
            number += 1
            yield ids
