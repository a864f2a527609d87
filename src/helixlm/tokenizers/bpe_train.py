"""Training of byte-pair encoding, by the trainer of the `tokenizers` library.

In: lines of letters. Out: a `BpeTokenizer`. Lines are read in upper case and cut at every letter
other than A, C, G and T, so such letters are never learned and no merge crosses one. There is no
end-of-word mark: TinyDNABERT's script trains with one (``</w>``), and 13 or so of its 1,024 entries
are tokens that its encoder can then never emit.

The library keeps the text and all positions in memory: about 57 bytes a base were measured. Its
counts are 32-bit and overflow in silence, so more text than that holds is refused here.
"""

import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from tokenizers import Tokenizer, models, trainers

from helixlm.tokenizers.base import SPECIAL_ORDERS, SpecialOrder, TokenizerError
from helixlm.tokenizers.bpe import BASES, BpeTokenizer, bpe_tokenizer

log = logging.getLogger(__name__)

MAX_TRAINING_BP = 2**31 - 1
PROGRESS_LINES = 1000


def every_nth(lines: Iterable[str], n: int) -> Iterator[str]:
    """Yield lines 0, n, 2n, ...: TinyDNABERT's sample with n = 10.

    Parameters
    ----------
    lines : iterable of str
        Any text.
    n : int
        Distance of the lines that are taken.

    Examples
    --------
    >>> list(every_nth("ABCDEFG", 3))
    ['A', 'D', 'G']
    """
    return islice(lines, 0, None, n)


def train_bpe(
    lines: Iterable[str],
    *,
    vocab_size: int = 1024,
    min_frequency: int = 4,
    special_order: SpecialOrder = "roberta",
    max_token_bp: int | None = None,
    max_tokens: int | None = 512,
    progress: Callable[[int, int | None], None] | None = None,
) -> BpeTokenizer:
    """Learn merges from lines of DNA; the same lines give the same tokenizer.

    Parameters
    ----------
    lines : iterable of str
        Sequences, each counted as often as it comes.
    vocab_size : int
        Entries of the vocabulary at most, special tokens and bases counted.
    min_frequency : int
        A pair must occur this often to be merged.
    special_order : {"roberta", "published"}
        Order of the special tokens, see `SPECIAL_ORDERS`.
    max_token_bp : int, optional
        Longest token in bases, 2 or more.
    max_tokens : int, optional
        Longest input of the model in tokens, for transformers.
    progress : callable, optional
        Called as ``progress(lines read, None)`` now and then.

    Returns
    -------
    BpeTokenizer
        With fewer entries than asked, and a warning, where the text has no more frequent pairs.

    Raises
    ------
    TokenizerError
        If the text holds no base, the vocabulary has no room for the alphabet, or the text is
        longer than the 32-bit counts of the library can take.

    References
    ----------
    Sennrich, Haddow & Birch (2016), Neural machine translation of rare words with subword units.
    ForestsKing/TinyDNABERT, ``2_tokenizer.py`` (the defaults).
    """
    special = SPECIAL_ORDERS[special_order]
    fixed = len(special) + len(BASES)
    if vocab_size < fixed:
        raise TokenizerError(
            f"a vocabulary of {vocab_size} has no room: {len(special)} special tokens and "
            f"{len(BASES)} bases need {fixed}"
        )
    if max_token_bp is not None and max_token_bp < 2:
        raise TokenizerError(
            f"a longest token of {max_token_bp} bases leaves nothing to merge, expected 2 or more"
        )
    library = Tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        special_tokens=list(special),
        initial_alphabet=list(BASES),
        # The library forms tokens that are shorter than its limit, not as long.
        max_token_length=None if max_token_bp is None else max_token_bp + 1,
        show_progress=False,
    )
    text = _Words(lines, progress)
    library.train_from_iterator(text, trainer)
    if text.bases == 0:
        raise TokenizerError(f"nothing to train on: {text.lines} lines hold no letter A, C, G or T")
    merges = [tuple(pair) for pair in json.loads(library.to_str())["model"]["merges"]]
    tokenizer = bpe_tokenizer(merges, special_order=special_order, max_tokens=max_tokens)
    assert tokenizer.tokens == sorted(library.get_vocab(), key=library.get_vocab().__getitem__)
    log.info(
        "trained a vocabulary of %d on %d bases in %d lines",
        tokenizer.vocab_size,
        text.bases,
        text.lines,
    )
    if tokenizer.vocab_size < vocab_size:
        log.warning(
            "the vocabulary has %d entries, %d were asked: after %d merges no pair occurs %d times "
            "in the %d bases of the training text; give more text, or a lower minimum frequency",
            tokenizer.vocab_size,
            vocab_size,
            len(merges),
            min_frequency,
            text.bases,
        )
    return tokenizer


class _Words:
    """Runs of A, C, G and T in the lines, counted on the way."""

    def __init__(
        self, lines: Iterable[str], progress: Callable[[int, int | None], None] | None
    ) -> None:
        self._source = lines
        self._progress = progress
        self.lines = 0
        self.bases = 0

    def __iter__(self) -> Iterator[str]:
        for line in self._source:
            for run in re.findall("[ACGT]+", line.upper()):
                self.bases += len(run)
                yield run
            if self.bases > MAX_TRAINING_BP:
                raise TokenizerError(
                    f"the training text has more than {MAX_TRAINING_BP} bases, which the 32-bit "
                    "counts of the tokenizers library cannot hold: train on a sample "
                    "(sample_every)"
                )
            self.lines += 1
            if self._progress is not None and self.lines % PROGRESS_LINES == 0:
                self._progress(self.lines, None)
        if self._progress is not None:
            self._progress(self.lines, None)
