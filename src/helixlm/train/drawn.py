"""Rows that are drawn while training runs: one window of a piece of the corpus, tokenized then.

Comes in: one split of a letter store, whose pieces are a little longer than a window, and a
tokenizer. Goes out: for each sample of the stream a row with one window. Its start is drawn
uniformly among the first positions of its piece, and, if that is asked for, its strand; so every
epoch shows other windows of the same pieces, and tokens with other borders. Both draws follow from
(purpose, seed, number of the sample) alone, as all of the stream.

Nucleotide Transformer and dnaGrinder keep pieces of 12,200 bp (a core of 12,000 with 100 on each
side), draw a start from 0 to 199 and take 12,000 bp from there. A piece may also be shorter or
longer, as that of a haplotype with deletions or insertions. For a piece of n bp:

    starts = max(1, min(jitter_bp, n - drawn_bp + 1))      start = 0, 1, ... or starts - 1
    window = piece[start : start + drawn_bp]

so a shorter piece has fewer starts, and one shorter than a window is taken whole.

References
----------
Dalla-Torre et al. (2024), Nucleotide Transformer; the rule is on the card of the data set
InstaDeepAI/human_reference_genome.
"""

import logging
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from helixlm.data.documents import store_dtype
from helixlm.errors import InputError
from helixlm.rng import CounterRng
from helixlm.seq.ops import reverse_complement
from helixlm.tokenizers.base import Tokenizer, in_its_case
from helixlm.tokenizers.bpe_dropout import DRAWS, RowDropout, merge_some
from helixlm.train.baselines import MAX_TOKENS
from helixlm.train.batches import BatchConfig, Documents, Row, Sample, Vocabulary
from helixlm.train.softmask import softmasked

logger = logging.getLogger(__name__)

_COUNTED_AT_ONCE = 1024


class DrawnRows:
    """One row for each piece of a split; its window is drawn whenever the row comes up.

    Parameters
    ----------
    pieces : Documents
        A split of a letter store: ASCII, in IUPAC letters.
    config : BatchConfig
        Length of windows and rows, reach of the start, share of the other strand.
    vocabulary : Vocabulary
        Special tokens.
    tokenizer : Tokenizer
        What encodes the windows. It travels to loader workers; each sequence is encoded in the
        thread that asks for it.
    seed : int
        Seed of the windows that are counted, see `counted`.
    tokens : ndarray, int, optional
        About how many tokens the window of each piece has, see `count_windows`; for rows in this
        order.
    species : ndarray, int, optional
        Number of the species of each piece, if rows come in the order of species.

    Raises
    ------
    InputError
        If no window can fit into a row.
    """

    def __init__(
        self,
        pieces: Documents,
        config: BatchConfig,
        vocabulary: Vocabulary,
        tokenizer: Tokenizer,
        seed: int,
        *,
        tokens: NDArray[np.integer] | None = None,
        species: NDArray[np.integer] | None = None,
    ) -> None:
        self.pieces = pieces
        self.species = species
        self._tokens = tokens
        self.config = config
        self.vocabulary = vocabulary
        self.tokenizer = tokenizer
        self.seed = seed
        self.num_rows = len(pieces.lengths)
        self.room = config.row_tokens - vocabulary.num_added
        self._upper_case = tokenizer.keeps_case
        self._check_room()
        self._say_what_is_drawn()

    def _check_room(self) -> None:
        """Refuse rows that would lose the end of every window, whatever its letters."""
        longest = min(self.config.drawn_bp, int(self.pieces.lengths.max()))
        most_bp = int(self.vocabulary.token_bp.max())
        overlap_bp = self.vocabulary.overlap_bp
        if longest > self.room * most_bp + overlap_bp:
            added = self.vocabulary.num_added
            raise InputError(
                f"batches.row_tokens {self.config.row_tokens} holds {self.room} tokens of at most "
                f"{most_bp} bp besides {added} special one(s), expected room for drawn windows of "
                f"{longest:,} bp: set batches.row_tokens to at least "
                f"{-(-(longest - overlap_bp) // most_bp) + added}, or batches.drawn_bp to at most "
                f"{self.room * most_bp + overlap_bp}"
            )

    def _say_what_is_drawn(self) -> None:
        """Tell of pieces that leave less to draw than the settings say."""
        drawn_bp, jitter_bp = self.config.drawn_bp, self.config.jitter_bp
        full_bp = drawn_bp + jitter_bp - 1
        lengths = self.pieces.lengths
        short = int((lengths < full_bp).sum())
        if short and jitter_bp > 1 and lengths.max() <= drawn_bp:
            logger.warning(
                "the longest of %d pieces has %d bp, not over batches.drawn_bp %d: each is taken "
                "whole in every epoch; make longer windows, or lower batches.drawn_bp",
                len(lengths),
                lengths.max(),
                drawn_bp,
            )
        elif short:
            logger.info(
                "%d of %d pieces are shorter than the %d bp that batches.drawn_bp and jitter_bp "
                "reach over: they have fewer starts",
                short,
                len(lengths),
                full_bp,
            )

    def window(self, index: int, sample: Sample) -> str:
        """Return the letters that a piece shows at a place in the stream, in their own case.

        Parameters
        ----------
        index : int
            Number of the piece, 0 <= index < num_rows.
        sample : Sample
            The place. Start and strand are drawn from ``CounterRng("window", *sample)``, always
            both, so that the share of the other strand changes no start.
        """
        begin = int(self.pieces.ends[index - 1]) if index else 0
        end = int(self.pieces.ends[index])
        starts = min(self.config.jitter_bp, end - begin - self.config.drawn_bp + 1)
        rng = CounterRng("window", *sample)
        begin += rng.integer(0, max(1, starts))
        turned = bool(rng.uniform(1)[0] < self.config.reverse_complement)
        letters = self.pieces.tokens(begin, min(begin + self.config.drawn_bp, end))
        text = letters.tobytes().decode("ascii")
        return reverse_complement(text) if turned else text

    def row(self, index: int, sample: Sample, dropout: RowDropout | None = None) -> Row:
        """Return the row of a piece at a place in the stream.

        Parameters
        ----------
        index : int
            Number of the piece, 0 <= index < num_rows.
        sample : Sample
            The place, which names all that is drawn.
        dropout : RowDropout, optional
            Encode the window with BPE dropout, which gives more tokens as a rule.

        Returns
        -------
        Row
            The window with its special tokens, padded. Tokens beyond the end of the row are lost.
        """
        window = self.window(index, sample)
        tokens = self._encode(window, sample, dropout)
        wrapped = self.vocabulary.wrap(tokens[: self.room])
        ids_L = np.full(self.config.row_tokens, self.vocabulary.pad, dtype=np.int64)
        document_L = np.zeros(self.config.row_tokens, dtype=np.int32)
        ids_L[: len(wrapped)] = wrapped
        document_L[: len(wrapped)] = 1
        if self.config.softmask_weight == 1:
            return Row(ids_L, document_L)
        soft_L = np.zeros(self.config.row_tokens, dtype=np.bool_)
        begin = int(self.vocabulary.bos is not None)
        soft = softmasked(self.tokenizer, tokens, window)[: self.room]
        soft_L[begin : begin + len(soft)] = soft
        return Row(ids_L, document_L, soft_L)

    def _encode(self, text: str, sample: Sample, dropout: RowDropout | None) -> NDArray[np.integer]:
        if self._upper_case:
            text = text.upper()
        if dropout is None:
            return self.tokenizer.encode(text)
        table, p = dropout
        codes = table.codes[np.frombuffer(text.encode("ascii"), dtype=np.uint8)]
        uniform = CounterRng("bpe dropout", *sample).uniform(DRAWS * len(codes))
        return np.asarray(merge_some(table, codes, p, uniform))

    def tokens_of_rows(self) -> NDArray[np.int64]:
        """Return about how many tokens the window of each row has, int64, (num_rows,)."""
        assert self._tokens is not None, "rows in the order of their tokens need these"
        return self._tokens.astype(np.int64)

    def count_windows(self) -> Iterator[int]:
        """Yield the tokens of one window of each piece, that of `counted`, without special ones."""
        for first in range(0, self.num_rows, _COUNTED_AT_ONCE):
            pieces = range(first, min(first + _COUNTED_AT_ONCE, self.num_rows))
            texts = [self.window(piece, Sample("count", self.seed, piece)) for piece in pieces]
            for ids in self.tokenizer.encode_batch(in_its_case(self.tokenizer, texts)):
                yield len(ids)

    def counted(self) -> "CountedWindows":
        """Draw one window of each piece and encode it, for what is counted before training.

        The windows are those of ``Sample("count", seed, number of the piece)``, cut as rows are;
        above `MAX_TOKENS`, at the most that rows can hold, evenly spaced pieces are taken.
        """
        stride = max(1, math.ceil(self.num_rows * self.room / MAX_TOKENS))
        dtype = store_dtype(self.vocabulary.size)
        windows, lost = [], 0
        for piece in range(0, self.num_rows, stride):
            sample = Sample("count", self.seed, piece)
            tokens = self._encode(self.window(piece, sample), sample, None)
            windows.append(tokens[: self.room].astype(dtype))
            lost += max(0, len(tokens) - self.room)
        found = CountedWindows(windows)
        logger.info("counting one window of %d of %d pieces", len(windows), self.num_rows)
        if lost:
            logger.warning(
                "%.2f %% of the tokens of drawn windows are behind the end of their row and not "
                "seen: raise batches.row_tokens, or lower batches.drawn_bp",
                100 * lost / (lost + int(found.ends[-1])),
            )
        return found


class CountedWindows:
    """Windows in memory, as documents of a token store.

    Parameters
    ----------
    windows : list of ndarray, int, shape (n,)
        Tokens of each.
    """

    def __init__(self, windows: list[NDArray[np.integer]]) -> None:
        self.lengths = np.array([len(window) for window in windows], dtype=np.int64)
        self.ends = np.cumsum(self.lengths)
        self._flat = np.concatenate(windows)

    def tokens(self, start: int, stop: int) -> NDArray[np.integer]:
        """Return the tokens from `start` to `stop` of all windows laid end to end."""
        return self._flat[start:stop]

    def count_tokens(self, vocab_size: int) -> NDArray[np.int64]:
        """Return how often each id occurs, int64, shape (vocab_size,)."""
        return np.bincount(self._flat, minlength=vocab_size)
