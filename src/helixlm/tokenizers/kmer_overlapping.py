"""Overlapping words of k letters, as DNABERT reads DNA: one begins at each letter.

In: letters, or words that are separated by white space already, as DNABERT's own files hold them.
Out: ids. A word that holds another letter than A, C, G and T is [UNK], so one N makes k words
unknown. The vocabulary has words of k letters only: a sequence shorter than k has no token. Case is
kept, as published, so a word with a lower-case base is [UNK] (DNABERT's ``do_lower_case`` ends up
False, whatever its tokenizer_config.json says).

The tokenizer.json holds words split at white space, so plain transformers reads DNABERT's own
spaced text. To read raw sequences it needs the class in auto.py, which calls `spaced_words` here.

References
----------
jerryji1993/DNABERT: ``motif/motif_utils.py`` (seq2kmer), ``examples/data_process_template/
process_pretrain_data.py`` (get_kmer_sentence), ``bert-config-{3,4,5,6}/vocab.txt``.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tokenizers import Tokenizer, models, pre_tokenizers

from helixlm.jit import compiled
from helixlm.tokenizers.assemble import surround
from helixlm.tokenizers.base import Encoding, TokenizerError
from helixlm.tokenizers.kmer import letter_codes, word_table, words
from helixlm.tokenizers.library import LibraryTokenizer

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

# What Unicode calls white space, at which the tokenizers library splits. Python's \s has four
# control characters more.
_SPACE = "\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_HAS_SPACE = re.compile(f"[{_SPACE}]")
_UNSPACED = re.compile(f"[^{_SPACE}]+")


def seq2kmer(sequence: str, k: int) -> list[str]:
    """List the words of DNABERT's fine-tuning data: all L - k + 1. This is what encoding uses.

    Examples
    --------
    >>> seq2kmer("ACGTA", 3)
    ['ACG', 'CGT', 'GTA']
    """
    return [sequence[at : at + k] for at in range(len(sequence) - k + 1)]


def get_kmer_sentence(sequence: str, k: int) -> list[str]:
    """List the words of DNABERT's pretraining data: L - k, the last one is left out.

    Examples
    --------
    >>> get_kmer_sentence("ACGTA", 3)
    ['ACG', 'CGT']
    """
    return seq2kmer(sequence, k)[:-1]


def dnabert_vocabulary(k: int) -> list[str]:
    """List DNABERT's vocabulary by id: the special tokens, then the words."""
    return [*SPECIAL, *words(k)]


class Spaced(NamedTuple):
    """The words of a text and where they stand in it."""

    words: list[str]
    starts: NDArray[np.int64]
    """first letter of each word, 0-based, shape (n,)"""
    ends: NDArray[np.int64]
    """first letter after each word, shape (n,)"""


def spaced_words(text: str, k: int, literal: re.Pattern[str]) -> Spaced:
    r"""Find the words of a text.

    Parameters
    ----------
    text : str
        A sequence; or, where there is white space, words that are taken as they are.
    k : int
        Letters of a word.
    literal : re.Pattern
        Matches the text of a special token, which is a word, and no k-mer crosses it.

    Returns
    -------
    Spaced
        Joined with spaces, the words give plain transformers the same ids.

    Examples
    --------
    >>> spaced_words("ACGT[MASK]AC", 3, re.compile(r"\[MASK\]"))[0]
    ['ACG', 'CGT', '[MASK]']
    >>> spaced_words("ACG CGT", 3, re.compile("(?!)")).starts.tolist()
    [0, 4]
    """
    given = _HAS_SPACE.search(text) is not None
    spans: list[tuple[int, int]] = []
    at = 0
    for start, end in [*(m.span() for m in literal.finditer(text)), (len(text), len(text))]:
        if given:
            spans += [m.span() for m in _UNSPACED.finditer(text, at, start)]
        else:
            spans += [(i, i + k) for i in range(at, start - k + 1)]
        if end > start:
            spans.append((start, end))
        at = end
    starts_ends = np.array(spans, dtype=np.int64).reshape(-1, 2)
    return Spaced([text[a:b] for a, b in spans], starts_ends[:, 0], starts_ends[:, 1])


@compiled
def _at_each_letter(
    letters: NDArray[np.uint8],
    codes: NDArray[np.uint8],
    word_ids: NDArray[np.int32],
    k: int,
    unk: int,
    ids: NDArray[np.int32],
) -> bool:
    """Write the id of the word at each letter; False where there is a marker."""
    index, known = 0, 0
    for at in range(len(letters)):
        code = codes[letters[at]]
        if code == 5:
            return False
        if code < 4:
            index = (4 * index + code) % len(word_ids)
            known += 1
        else:
            index, known = 0, 0
        if at >= k - 1:
            ids[at - k + 1] = word_ids[index] if known >= k else unk
    return True


class OverlappingKmerTokenizer(LibraryTokenizer):
    """A word of k letters at each letter."""

    kind = "kmer"
    transformers_class = "HelixlmKmerTokenizer"

    def __init__(
        self, text: str, settings: Mapping[str, Any] | None = None, *, source: str = "tokenizer"
    ) -> None:
        super().__init__(text, settings, source=source)
        known = set(range(self.vocab_size)) - set(self._special_ids.tolist())
        self.k, self._word_ids = word_table({self._tokens[i]: i for i in sorted(known)}, source)
        if len(known) != 4**self.k:
            raise TokenizerError(
                f"{source}: the vocabulary holds {len(known)} entries beside its special tokens, "
                f"expected the {4**self.k} words of {self.k} bases: overlapping words have none "
                "of another length"
            )
        self.overlap_bp = self.k - 1
        self._token_bp[self._special.unk] = self.k
        self._codes = letter_codes(self._library, markers="\t\n\v\f\r ")
        self._id_of = {token: id_ for id_, token in enumerate(self._tokens)}

    def _check_spelling(self) -> None:
        """Overlapping words do not spell a sequence one after the other."""

    def _encode_slice(self, batch: list[str]) -> list[NDArray[np.int32]]:
        """Encode ASCII fast; what else there is, word by word."""
        encoded: list[NDArray[np.int32]] = []
        for sequence in batch:
            if sequence.isascii():
                letters = np.frombuffer(sequence.encode("ascii"), dtype=np.uint8)
                ids = np.empty(max(0, len(letters) - self.k + 1), dtype=np.int32)
                if _at_each_letter(
                    letters, self._codes, self._word_ids, self.k, self._special.unk, ids
                ):
                    encoded.append(ids)
                    continue
            encoded.append(self._ids_of(spaced_words(sequence, self.k, self._literal).words))
        return encoded

    def _ids_of(self, found: list[str]) -> NDArray[np.int32]:
        unk = self._special.unk
        return np.array([self._id_of.get(word, unk) for word in found], dtype=np.int32)

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
            0-based, half-open. Token i of a raw sequence covers [i, i + k).
        """
        ids = self.encode(sequence)
        starts = np.arange(len(ids), dtype=np.int64)
        if not (self._literal.search(sequence) or _HAS_SPACE.search(sequence)):
            return Encoding(ids, starts, starts + self.k)
        return Encoding(ids, *spaced_words(sequence, self.k, self._literal)[1:])

    def decode(self, ids: ArrayLike) -> str:
        """Return the bases of tokens that begin one base apart.

        A base is known if a known word covers it (where two disagree, the one that begins first
        counts), and N otherwise. Special tokens are dropped, and no word overlaps across one.

        Parameters
        ----------
        ids : array-like, int, shape (n,)
            Token ids.

        Returns
        -------
        str
            For n words in a row n + k - 1 bases.

        Raises
        ------
        TokenizerError
            If an id is not in the vocabulary.
        """
        super().decode(ids)  # refuses ids outside the vocabulary
        ids_n = np.asarray(ids, dtype=np.int64)
        is_word_n = self._token_bp[ids_n] == self.k
        cuts = np.flatnonzero(np.diff(is_word_n)) + 1
        runs = zip(np.split(ids_n, cuts), np.split(is_word_n, cuts), strict=True)
        return "".join(self._chain(run) for run, is_word in runs if len(run) and is_word[0])

    def _chain(self, ids_n: NDArray[np.int64]) -> str:
        """Lay words over each other, each one base after the one before."""
        letters = np.full(len(ids_n) + self.k - 1, ord("N"), dtype=np.uint8)
        known_n = ids_n != self._special.unk
        spelled = "".join(self._tokens[i] for i in ids_n[known_n].tolist())
        letters_nk = np.frombuffer(spelled.encode("ascii"), dtype=np.uint8).reshape(-1, self.k)
        places = np.flatnonzero(known_n)
        for offset in range(self.k):  # a later letter of a word is from an earlier word
            letters[places + offset] = letters_nk[:, offset]
        return letters.tobytes().decode("ascii")


def dnabert_tokenizer(k: int = 6, *, max_tokens: int | None = 512) -> OverlappingKmerTokenizer:
    """Make the tokenizer of DNABERT.

    Parameters
    ----------
    k : int
        Letters of a word; published for 3 to 6.
    max_tokens : int, optional
        Longest input of the model in tokens, for transformers. DNABERT's own code cuts a longer
        sequence into pieces of 510 words, each with its own [CLS] and [SEP]; here nothing is cut.

    Returns
    -------
    OverlappingKmerTokenizer
        Puts [CLS] and [SEP] around a sequence.

    Examples
    --------
    >>> tokenizer = dnabert_tokenizer(3)
    >>> [tokenizer.tokens[i] for i in tokenizer.encode("ACGTNA")]
    ['ACG', 'CGT', '[UNK]', '[UNK]']
    >>> tokenizer.decode(tokenizer.encode("ACGTNA"))
    'ACGTNN'
    """
    vocab = {token: id_ for id_, token in enumerate(dnabert_vocabulary(k))}
    library = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    library.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return OverlappingKmerTokenizer(*surround(library, SPECIAL, max_tokens, joined=False))
