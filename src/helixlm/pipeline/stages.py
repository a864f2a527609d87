"""The stages between a FASTA file and a token store, each skipped when it is done.

A stage writes a folder that appears whole under its name, so a stage whose folder is there is
done; what it was made with stands in its manifest and is compared.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from helixlm.data.corpus import Corpus
from helixlm.data.folder import new_folder
from helixlm.data.store import TokenStore, open_store, write_store
from helixlm.errors import StateError
from helixlm.pipeline.progress import Reporter
from helixlm.tokenizers.base import Tokenizer, TokenizerConfig
from helixlm.tokenizers.build import build_tokenizer
from helixlm.tokenizers.hf import load_tokenizer
from helixlm.train.batches import Vocabulary

ENCODE_AT_ONCE = 2048


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
        token_bp=np.asarray(tokenizer.token_bp),
    )


def make_tokenizer(
    corpus: Corpus, config: TokenizerConfig, output: Path, report: Reporter
) -> Tokenizer:
    """Train a tokenizer on the training windows of a corpus, or load the one that is there."""
    if (output / "tokenizer.json").exists():
        return load_tokenizer(output)
    total = -(-corpus.num_windows("train") // config.sample_every)
    with report.stage("Training the tokenizer", total) as progress:
        tokenizer = build_tokenizer(config, corpus.iter_sequences("train"), progress=progress)
    with new_folder(output) as folder:
        tokenizer.save(folder)
    return load_tokenizer(output)


def make_store(corpus: Corpus, tokenizer: Tokenizer, output: Path, report: Reporter) -> TokenStore:
    """Encode every window of a corpus into a token store, or open the one that is there."""
    splits = list(corpus.manifest.splits)
    total = sum(corpus.num_windows(split) for split in splits)
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


def encode_documents(tokenizer: Tokenizer, sequences: Iterator[str]) -> Iterator[NDArray[np.int32]]:
    """Yield the token ids of each sequence, encoding many at a time."""
    while batch := list(islice(sequences, ENCODE_AT_ONCE)):
        yield from tokenizer.encode_batch(batch)
