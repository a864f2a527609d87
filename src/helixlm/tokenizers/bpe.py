"""Byte-pair encoding of DNA: the most frequent neighbours merged, in the order of training.

In: letters and a trained vocabulary. Out: ids. A sequence is one word: nothing splits it before
the merges, and since no merge holds an unknown letter, none crosses one. Lower case is read
as upper case and each letter other than A, C, G and T is one <unk>. In the layouts of DNABERT-2 and
GENA-LM case is kept, as published, so each lower-case base is [UNK]; GENA-LM reads ten or more N in
a row as one ``-``, and drops white space at both ends. Training is in bpe_train.py, the fast way to
the library's ids in bpe_encode.py, and dropout in bpe_dropout.py.

References
----------
DNABERT-2: tokenizer.json of zhihan1996/DNABERT-2-117M. GENA-LM: AIRI-Institute/GENA_LM.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import chain, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from helixlm.rng import CounterRng
from helixlm.tokenizers.assemble import surround, upper_case_normalizer
from helixlm.tokenizers.base import SPECIAL_ORDERS, Encoding, SpecialOrder, TokenizerError
from helixlm.tokenizers.base import Tokenizer as AnyTokenizer
from helixlm.tokenizers.bpe_dropout import (
    DRAWS,
    DropoutTable,
    RowDropout,
    check_probability,
    dropout_table,
    merge_some,
    no_merges,
)
from helixlm.tokenizers.bpe_encode import MergeTable, encode_lines, is_other, merge_table
from helixlm.tokenizers.library import LibraryTokenizer

BASES = "ACGT"
LEAST_RUN = 10
N_RUN = f"N{{{LEAST_RUN},}}"
"""what GENA-LM reads as one gap"""
UPPER = str.maketrans(BASES.lower(), BASES)


class BpeTokenizer(LibraryTokenizer):
    """Byte-pair encoding through the `tokenizers` library."""

    kind = "bpe"
    gap = "-"

    def __init__(
        self, text: str, settings: Mapping[str, Any] | None = None, *, source: str = "tokenizer"
    ) -> None:
        super().__init__(text, settings, source=source)
        if json.loads(text)["model"].get("dropout"):
            raise TokenizerError(
                f"{source}: the model leaves merges out at random (dropout), so the same sequence "
                "would give other ids each time: set dropout to null in tokenizer.json"
            )
        self._gap_id = self._library.token_to_id(self.gap)
        self._table = self._fast_table()

    def _fast_table(self) -> MergeTable | None:
        """Prepare the fast encoder, if this tokenizer does nothing that it does not know."""
        content = json.loads(self._text)
        model = content["model"]
        normalizer = content.get("normalizer")
        upper_first = normalizer == normalizer_json(upper_case_normalizer(BASES))
        self._makes_gaps = normalizer == normalizer_json(gap_normalizer())
        unknown_marks = ("continuing_subword_prefix", "end_of_word_suffix")
        vocab = self._library.get_vocab(with_added_tokens=True)
        # What splits at white space and punctuation splits no letters.
        splitter = (content.get("pre_tokenizer") or {"type": None})["type"]
        if (
            not (normalizer is None or upper_first or self._makes_gaps)
            or splitter not in (None, "Whitespace", "WhitespaceSplit")
            or any(model.get(mark) for mark in unknown_marks)
            or any(model.get(option) for option in ("fuse_unk", "byte_fallback", "ignore_merges"))
            or any(token["content"].isalpha() for token in content.get("added_tokens", ()))
            or any(len(t) == 1 and t.isalpha() and t not in BASES for t in vocab)
        ):
            return None
        return merge_table(vocab, self.merges, self._special.unk, lower_case=upper_first)

    def encode_with_offsets(self, sequence: str) -> Encoding:
        """Return the token ids of one sequence and which bases each token covers.

        Parameters
        ----------
        sequence : str
            Letters in any case.

        Returns
        -------
        Encoding
            ids, int32, shape (n,); starts and ends, int64, shape (n,): positions in `sequence`,
            0-based, half-open. A gap covers the whole run of N that it stands for.
        """
        runs = [] if self._gap_id is None else list(re.finditer(N_RUN, sequence))
        if not runs:
            return super().encode_with_offsets(sequence)
        ids = self.encode(sequence)
        lengths = self._token_bp[ids].astype(np.int64)
        gaps = np.flatnonzero(ids == self._gap_id)
        if len(gaps) == len(runs):
            lengths[gaps] = [run.end() - run.start() for run in runs]
            ends = np.cumsum(lengths)
            if ends[-1] == len(sequence):
                return Encoding(ids, ends - lengths, ends)
        encoding = super().encode_with_offsets(sequence)
        # The library gives the last N of a run as the place of what replaced it.
        begins = {run.end(): run.start() for run in runs}
        for token in np.flatnonzero(encoding.ids == self._gap_id):
            end = int(encoding.ends[token])
            encoding.starts[token] = begins.get(end, end - 1)
        return encoding

    @property
    def merges(self) -> list[tuple[str, str]]:
        """The pairs of tokens that are merged, first learned first."""
        merges = json.loads(self._text)["model"]["merges"]
        # Files written before tokenizers 0.20 hold "A C" in place of ["A", "C"].
        pairs = (merge.split(" ") if isinstance(merge, str) else merge for merge in merges)
        return [(left, right) for left, right in pairs]

    @cached_property
    def dropout_table(self) -> DropoutTable:
        """What dropout needs of this vocabulary.

        Raises
        ------
        TokenizerError
            If the vocabulary is not one that training writes.
        """
        if self._gap_id is not None:
            raise TokenizerError(
                f"{self._source}: dropout encodes the bases of each token anew, and {self.gap!r}, "
                "a run of N of any length, has none: this vocabulary cannot have dropout"
            )
        if self._table is None:
            raise TokenizerError(
                f"{self._source}: dropout needs a vocabulary as training writes it, in which one "
                "merge makes each token and nothing else changes the letters; this one is not"
            )
        return dropout_table(self._table, self._pieces)

    def encode_with_dropout(self, sequence: str, p: float, rng: CounterRng) -> NDArray[np.int32]:
        """Return the token ids of one sequence, with each merge left out with a probability.

        Parameters
        ----------
        sequence : str
            Letters in any case. Takes about 70 bytes a letter: for lines of up to some millions.
        p : float
            Probability that a possible merge is left out: 0 gives `encode`, 1 a token a letter.
        rng : CounterRng
            What to draw from; it moves on by 3 numbers a letter.

        Returns
        -------
        ndarray, int32, shape (n,)
            Token ids of the same letters, without special tokens.

        Raises
        ------
        TokenizerError
            If `p` is not from 0 to 1, if `sequence` holds what is no letter, or if the
            vocabulary is not one that training writes.

        References
        ----------
        Provilkov, Emelianenko & Voita (2020), BPE-Dropout, doi:10.18653/v1/2020.acl-main.170; how
        this differs, and why, stands in `helixlm.tokenizers.bpe_dropout`.

        Examples
        --------
        >>> tokenizer = bpe_tokenizer([("T", "A"), ("TA", "TA")])
        >>> rng = CounterRng("example")
        >>> ids = tokenizer.encode_with_dropout("TATATATA", 0.3, rng)
        >>> [tokenizer.tokens[i] for i in ids]
        ['TA', 'TA', 'TATA']
        """
        table = self.dropout_table
        check_probability(p)
        letters = np.frombuffer(sequence.encode("latin-1", "replace"), dtype=np.uint8)
        codes = table.codes[letters]
        if (codes > 4).any():
            at = int(np.argmax(codes > 4))
            raise TokenizerError(
                f"encode_with_dropout: found {sequence[at]!r} at position {at}, expected letters"
            )
        return np.asarray(merge_some(table, codes, p, rng.uniform(DRAWS * len(codes))))

    def _encode_slices(self, slices: Iterator[list[str]]) -> Iterable[list[NDArray[np.int32]]]:
        """Encode batches side by side: the fast encoder leaves the lock to others."""
        if self._table is None:
            return super()._encode_slices(slices)
        first = list(islice(slices, 2))
        if len(first) < 2:
            return map(self._encode_slice, first)
        with ThreadPoolExecutor() as pool:
            return list(pool.map(self._encode_slice, chain(first, slices)))

    def _encode_slice(self, batch: list[str]) -> list[NDArray[np.int32]]:
        """Encode a batch of letters fast; what else there is goes through the library."""
        if self._table is None:
            return super()._encode_slice(batch)
        text = "".join(batch)
        letters = np.frombuffer(text.encode("ascii", "replace"), dtype=np.uint8)
        if is_other(self._table, letters):  # "replace" puts a question mark, which is no letter
            if len(batch) == 1:
                return super()._encode_slice(batch)
            return [self._encode_slice([sequence])[0] for sequence in batch]
        if self._makes_gaps and "N" * LEAST_RUN in text:
            return [self._encode_gaps(sequence) for sequence in batch]
        return self._encode_letters(letters, batch)

    def _encode_gaps(self, sequence: str) -> NDArray[np.int32]:
        """Encode letters, with one token for each long run of N."""
        parts = re.split(N_RUN, sequence)
        letters = np.frombuffer("".join(parts).encode("ascii"), dtype=np.uint8)
        ids = self._encode_letters(letters, parts)
        gap = np.array([self._gap_id], dtype=np.int32)
        return np.concatenate([ids[0], *(x for part in ids[1:] for x in (gap, part))])

    def _encode_letters(
        self, letters: NDArray[np.uint8], sequences: Sequence[str]
    ) -> list[NDArray[np.int32]]:
        """Encode sequences that hold nothing but letters, given one behind the other too."""
        ends = np.cumsum([len(sequence) for sequence in sequences])
        ids, id_ends = encode_lines(self._table, letters, ends)
        return np.split(ids, id_ends[:-1])


def row_dropout(tokenizer: AnyTokenizer, p: float) -> RowDropout:
    """Return what training needs to encode its rows with dropout.

    Parameters
    ----------
    tokenizer : Tokenizer
        What the rows were encoded with.
    p : float
        Probability that a possible merge is left out.

    Returns
    -------
    RowDropout
        Can be sent to loader workers.

    Raises
    ------
    TokenizerError
        If the tokenizer does no byte-pair encoding, if its vocabulary is not one that training
        writes, or if `p` is not from 0 to 1.
    """
    check_probability(p)
    if not isinstance(tokenizer, BpeTokenizer):
        raise no_merges(tokenizer.kind)
    return RowDropout(tokenizer.dropout_table, p)


def gap_normalizer() -> normalizers.Sequence:
    """Drop white space at both ends and read long runs of N as gaps, as GENA-LM does."""
    return normalizers.Sequence(
        [normalizers.Strip(), normalizers.Replace(Regex(N_RUN), BpeTokenizer.gap)]
    )


def normalizer_json(normalizer: normalizers.Sequence) -> Any:
    """Content of a normaliser as the library writes it into tokenizer.json."""
    library = Tokenizer(models.BPE())
    library.normalizer = normalizer
    return json.loads(library.to_str())["normalizer"]


def bpe_tokenizer(
    merges: Sequence[tuple[str, str]],
    *,
    special_order: SpecialOrder = "roberta",
    max_tokens: int | None = 512,
    vocab: Mapping[str, int] | None = None,
    unused: Sequence[str] = (),
) -> BpeTokenizer:
    """Make a tokenizer from a list of merges: special tokens, then A C G T, then the merges.

    Parameters
    ----------
    merges : sequence of (str, str)
        Pairs of tokens, first learned first. Two merges that spell the same token share its id.
    special_order : {"roberta", "published", "dnabert2", "gena-lm"}
        Order of the special tokens, see `SPECIAL_ORDERS`; the last two bring the rules of their
        models for case and unknown letters.
    max_tokens : int, optional
        Longest input of the model in tokens, for transformers.
    vocab : mapping of str to int, optional
        Ids of all tokens, where they are others than this order gives.
    unused : sequence of str
        Tokens of `vocab` that no merge makes; they are special tokens then.

    Returns
    -------
    BpeTokenizer
        Puts <s> and </s>, or [CLS] and [SEP], around a sequence.

    Examples
    --------
    >>> tokenizer = bpe_tokenizer([("T", "A"), ("TA", "TA")])
    >>> [tokenizer.tokens[i] for i in tokenizer.encode("gTATATANTA")]
    ['G', 'TATA', 'TA', '<unk>', 'TA']
    >>> tokenizer.encode_with_offsets("TATAC").ends.tolist()
    [4, 5]
    """
    special = SPECIAL_ORDERS[special_order]
    if vocab is None:
        # A dict keeps the first place of a token that two merges spell.
        tokens = dict.fromkeys([*special, *BASES, *(left + right for left, right in merges)])
        vocab = {token: id_ for id_, token in enumerate(tokens)}
    unk = "<unk>" if "<unk>" in special else "[UNK]"
    library = Tokenizer(models.BPE(dict(vocab), list(merges), unk_token=unk))
    library.add_special_tokens(list(unused))
    if special_order == "dnabert2":
        library.pre_tokenizer = pre_tokenizers.Whitespace()
    elif special_order == "gena-lm":
        library.normalizer = gap_normalizer()
    else:
        library.normalizer = upper_case_normalizer(BASES)
    # The gap stands in the text; the others are put around it.
    special = tuple(token for token in special if token != BpeTokenizer.gap)
    return BpeTokenizer(*surround(library, special, max_tokens))
