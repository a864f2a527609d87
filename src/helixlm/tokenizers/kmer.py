"""Words of k letters: the published vocabularies, and words side by side.

In: letters. Out: ids. From left to right, k letters A, C, G, T in a row are one token and any other
letter is one alone, so N splits the words, and what remains before it or at the end comes as
single bases. N has a token of its own. Overlapping words are in kmer_overlapping.py.

Case is kept and each other letter is one <unk>, a lower-case base too: the published JAX code
refuses such letters, the published Hugging Face tokenizer gives <unk> (one for a run of them, which
would lose positions). Whoever encodes soft-masked sequences passes them through `base.in_its_case`
first.

References
----------
DNABERT (the order of the words): jerryji1993/DNABERT, ``bert-config-{3,4,5,6}/vocab.txt``.
Nucleotide Transformer: instadeepai/nucleotide-transformer, ``nucleotide_transformer/
tokenizers.py``.
"""

import json
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors

from helixlm.jit import compiled
from helixlm.tokenizers.assemble import settings_for
from helixlm.tokenizers.base import TokenizerError
from helixlm.tokenizers.library import LibraryTokenizer

BASES = "ACGT"
PUBLISHED_ORDER = "ATCG"
"""order of the letters in all published vocabularies of k-mers"""
NT_LETTERS = "ATCGN"
NT_ROLES = {f"{name}_token": f"<{name}>" for name in ("unk", "pad", "mask", "cls")}

OTHER, MARKER = 4, 5
"""codes of letters beside the bases: unknown ones, and those that the library must look at"""


def words(k: int) -> Iterator[str]:
    """Yield all words of k bases in the order of the published vocabularies.

    Examples
    --------
    >>> list(words(1))
    ['A', 'T', 'C', 'G']
    """
    return map("".join, product(PUBLISHED_ORDER, repeat=k))


def nt_vocabulary(version: Literal[1, 2] = 2, k: int = 6) -> list[str]:
    """List the vocabulary of Nucleotide Transformer by id.

    Parameters
    ----------
    version : {1, 2}
        Version 1 has <eos> and <bos> at the end; its model has no rows for these two (4,105 rows
        for 4,107 entries) and its tokenizer never makes them.
    k : int
        Letters of a word; 6 as published.
    """
    last = ["<eos>", "<bos>"]
    special = ["<unk>", "<pad>", "<mask>", "<cls>"]
    if version == 1:
        return [*special, *words(k), *NT_LETTERS, *last]
    return [*special, *last, *words(k), *NT_LETTERS]


@compiled
def _side_by_side(
    letters: NDArray[np.uint8],
    codes: NDArray[np.uint8],
    letter_ids: NDArray[np.int32],
    word_ids: NDArray[np.int32],
    k: int,
    ids: NDArray[np.int32],
) -> int:
    """Write the ids of letters in ASCII and return their number, or -1 where there is a marker."""
    at, count = 0, 0
    while at < len(letters):
        index, known = 0, 0
        while known < k and at + known < len(letters) and codes[letters[at + known]] < 4:
            index = 4 * index + codes[letters[at + known]]
            known += 1
        if known == k:
            ids[count] = word_ids[index]
            count += 1
            at += k
            continue
        # No word begins before the letter that ended this one: they are one token each.
        for place in range(at, min(at + known + 1, len(letters))):
            if codes[letters[place]] == 5:
                return -1
            ids[count] = letter_ids[letters[place]]
            count += 1
        at += known + 1
    return count


class KmerTokenizer(LibraryTokenizer):
    """Words of k letters side by side, and single letters where there is no word."""

    kind = "kmer"

    def __init__(
        self, text: str, settings: Mapping[str, Any] | None = None, *, source: str = "tokenizer"
    ) -> None:
        super().__init__(text, settings, source=source)
        known = set(range(self.vocab_size)) - set(self._special_ids.tolist())
        tokens = {self._tokens[id_]: id_ for id_ in sorted(known)}
        self.k, self._word_ids = word_table(tokens, source)
        missing = [base for base in BASES if base not in tokens]
        if missing:
            raise TokenizerError(
                f"{source}: the vocabulary has no token for {missing[0]!r} alone, which is what "
                f"remains of a sequence after its words of {self.k}"
            )
        content = json.loads(text)
        self._is_ours = content.get("normalizer") is None and content.get(
            "pre_tokenizer"
        ) == json.loads(splitter(self.k).__getstate__())
        self._codes = letter_codes(self._library)
        self._letter_ids = np.array(
            [tokens.get(chr(code), self._special.unk) for code in range(128)], dtype=np.int32
        )

    def _encode_slice(self, batch: list[str]) -> list[NDArray[np.int32]]:
        """Encode ASCII fast; what else there is goes through the library."""
        encoded: list[NDArray[np.int32]] = []
        for sequence in batch:
            if self._is_ours and sequence.isascii():
                letters = np.frombuffer(sequence.encode("ascii"), dtype=np.uint8)
                ids = np.empty(len(letters), dtype=np.int32)
                count = _side_by_side(
                    letters, self._codes, self._letter_ids, self._word_ids, self.k, ids
                )
                if count >= 0:
                    encoded.append(ids[:count].copy())
                    continue
            encoded.extend(super()._encode_slice([sequence]))
        return encoded


def splitter(k: int) -> pre_tokenizers.Split:
    """Cut text into words of k bases and, where there is none, single letters."""
    return pre_tokenizers.Split(Regex(f"[{BASES}]{{{k}}}|[\\s\\S]"), "isolated")


def letter_codes(library: Tokenizer, markers: str = "") -> NDArray[np.uint8]:
    """Code of each ASCII letter: bases 0 to 3, `OTHER`, or `MARKER`.

    Markers are the letters given and those with which an added token begins.
    """
    codes = np.full(128, OTHER, dtype=np.uint8)
    added = [token.content[0] for token in library.get_added_tokens_decoder().values()]
    for letter in [*markers, *added]:
        if letter.isascii():
            codes[ord(letter)] = MARKER
    codes[list(BASES.encode())] = range(4)
    return codes


def word_table(tokens: Mapping[str, int], source: str) -> tuple[int, NDArray[np.int32]]:
    """Find k and the id of each word.

    Parameters
    ----------
    tokens : mapping of str to int
        The vocabulary without its special tokens.
    source : str
        Where it came from, for messages.

    Returns
    -------
    k : int
        Letters of a word.
    word_ids : ndarray, int32, shape (4 ** k,)
        Ids in the alphabetic order of the words.

    Raises
    ------
    TokenizerError
        If the tokens of more than one letter are not all words of one length over A, C, G, T.
    """
    k = max(map(len, tokens), default=0)
    wrong = [t for t in tokens if len(t) not in (1, k) or (len(t) > 1 and set(t) - set(BASES))]
    if k < 2 or wrong:
        raise TokenizerError(
            f"{source}: the word-level vocabulary holds {wrong[0] if wrong else sorted(tokens)!r}, "
            "expected words of one length over A, C, G and T (k-mers) and single letters: this is "
            "not a tokenizer of k-mers"
        )
    found = np.array([tokens.get("".join(word), -1) for word in product(BASES, repeat=k)])
    if (found < 0).any():
        raise TokenizerError(
            f"{source}: the vocabulary holds {int((found >= 0).sum())} of the {4**k} words of {k} "
            "bases, expected all: helixlm needs to know which bases a token covers"
        )
    return k, found.astype(np.int32)


def nt_tokenizer(
    version: Literal[1, 2] = 2, *, k: int = 6, max_tokens: int | None = None
) -> KmerTokenizer:
    """Make the tokenizer of Nucleotide Transformer.

    Parameters
    ----------
    version : {1, 2}
        Which published order of ids.
    k : int
        Letters of a word; 6 as published.
    max_tokens : int, optional
        Longest input of the model in tokens, for transformers.

    Returns
    -------
    KmerTokenizer
        Puts <cls> before a sequence and nothing after it.

    Examples
    --------
    >>> tokenizer = nt_tokenizer(2, max_tokens=2048)
    >>> [tokenizer.tokens[i] for i in tokenizer.encode("ACGTGTACNTGCACGGANCGACTAGTCTGA")]
    ['ACGTGT', 'A', 'C', 'N', 'TGCACG', 'G', 'A', 'N', 'CGACTA', 'GTCTGA']
    """
    vocab = {token: id_ for id_, token in enumerate(nt_vocabulary(version, k))}
    library = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    library.pre_tokenizer = splitter(k)
    library.add_special_tokens([token for token in vocab if token.startswith("<")])
    library.post_processor = processors.TemplateProcessing(
        single="<cls> $A", pair="<cls> $A $B:0", special_tokens=[("<cls>", vocab["<cls>"])]
    )
    library.decoder = decoders.Fuse()
    settings = settings_for(NT_ROLES, max_tokens)
    # The name that transformers 4 and 5 both read.
    settings["additional_special_tokens"] = ["<eos>", "<bos>"]
    return KmerTokenizer(library.to_str(pretty=True), settings)
