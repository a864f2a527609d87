"""One token a letter: the default vocabulary, the 23 symbols of the book, and HyenaDNA's.

In: letters. Out: their ids, through a table instead of the library wherever the text is ASCII.
Case and unknown letters are a stated policy: the default reads a, c, g, t and n as upper case and
gives each other letter one <unk>; the presets ``book`` and ``hyenadna`` keep case, as published, so
a lower-case base is [UNK]. Whoever encodes soft-masked sequences passes them through
`base.in_its_case` first.

References
----------
Nivard, Biological language models, chapter 2 (the vocabulary, WordLevel and Split).
HyenaDNA: HazyResearch/hyena-dna, ``CharacterTokenizer``.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, pre_tokenizers

from helixlm.tokenizers.assemble import (
    settings_for,
    surround,
    upper_case_normalizer,
)
from helixlm.tokenizers.base import SPECIAL_ORDERS, SpecialOrder, TokenizerError
from helixlm.tokenizers.library import LibraryTokenizer

DNA_LETTERS = "ACGTN"
BOOK_LETTERS = "ATCGNUiRYKMSWBDHV-"
BOOK_SPECIAL = ("[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]")
HYENADNA_SPECIAL = ("[CLS]", "[SEP]", "[BOS]", "[MASK]", "[PAD]", "[RESERVED]", "[UNK]")


class CharTokenizer(LibraryTokenizer):
    """One token a letter."""

    kind = "char"

    def __init__(
        self, text: str, settings: Mapping[str, Any] | None = None, *, source: str = "tokenizer"
    ) -> None:
        super().__init__(text, settings, source=source)
        known = set(range(self.vocab_size)) - set(self._special_ids.tolist())
        long = [self._tokens[id_] for id_ in sorted(known) if len(self._tokens[id_]) != 1]
        if long:
            raise TokenizerError(
                f"{source}: the word-level vocabulary holds {long[0]!r}, expected single letters, "
                "because its text is split into letters"
            )
        # Of an added token that is found after normalising, any text may hold the letters.
        added = self._library.get_added_tokens_decoder().values()
        self._needs_library = any(token.normalized for token in added)
        # -1 where the library makes more or less than one token, such as none of a space.
        self._id_of_ascii = np.full(128, -1, dtype=np.int32)
        for code in range(128):
            ids = self._library.encode(chr(code), add_special_tokens=False).ids
            if len(ids) == 1:
                self._id_of_ascii[code] = ids[0]

    def _encode_slice(self, batch: list[str]) -> list[NDArray[np.int32]]:
        """Look the letters up; what the table does not hold goes through the library."""
        ids: list[NDArray[np.int32]] = []
        for sequence in batch:
            if (
                sequence.isascii()
                and not self._needs_library
                and not self._literal.search(sequence)
            ):
                codes = np.frombuffer(sequence.encode("ascii"), dtype=np.uint8)
                found = self._id_of_ascii[codes]
                if not (found < 0).any():
                    ids.append(found)
                    continue
            ids.extend(super()._encode_slice([sequence]))
        return ids


def char_tokenizer(
    *, special_order: SpecialOrder = "roberta", max_tokens: int | None = 512
) -> CharTokenizer:
    """Make the default tokenizer of single letters: special tokens, then A C G T N.

    Parameters
    ----------
    special_order : {"roberta", "published"}
        Order of the special tokens, see `SPECIAL_ORDERS`.
    max_tokens : int, optional
        Longest input of the model in tokens, for transformers.

    Returns
    -------
    CharTokenizer
        Ten tokens; puts <s> and </s> around a sequence.

    Examples
    --------
    >>> tokenizer = char_tokenizer()
    >>> tokenizer.encode("ACGTNacgtR").tolist()
    [5, 6, 7, 8, 9, 5, 6, 7, 8, 3]
    >>> tokenizer.decode([5, 6, 3])
    'ACN'
    """
    special = SPECIAL_ORDERS[special_order]
    vocab = {token: id_ for id_, token in enumerate([*special, *DNA_LETTERS])}
    library = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    library.normalizer = upper_case_normalizer(DNA_LETTERS)
    library.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return CharTokenizer(*surround(library, special, max_tokens))


def book_tokenizer(*, max_tokens: int | None = 512) -> CharTokenizer:
    """Make the tokenizer of the book: 23 symbols, case kept, no special tokens added.

    Parameters
    ----------
    max_tokens : int, optional
        Longest input of the model in tokens, for transformers.

    Returns
    -------
    CharTokenizer
        A 0, T 1, C 2, G 3, N 4, U 5, i 6, R 7 ... [MASK] 22. Lower-case bases are [UNK] 18.

    Examples
    --------
    >>> book_tokenizer().encode("ATCGNacgt").tolist()
    [0, 1, 2, 3, 4, 18, 18, 18, 18]
    """
    vocab = {token: id_ for id_, token in enumerate([*BOOK_LETTERS, *BOOK_SPECIAL])}
    library = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    library.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    library.add_special_tokens(list(BOOK_SPECIAL))
    roles = {f"{token[1:-1].lower()}_token": token for token in BOOK_SPECIAL}
    return CharTokenizer(library.to_str(pretty=True), settings_for(roles, max_tokens))


def hyenadna_tokenizer(*, max_tokens: int | None = 1026) -> CharTokenizer:
    """Make HyenaDNA's tokenizer: 12 symbols, case kept, padded at the left.

    Parameters
    ----------
    max_tokens : int, optional
        Longest input in tokens: the model's longest sequence + 2.

    Returns
    -------
    CharTokenizer
        [CLS] 0 [SEP] 1 [BOS] 2 [MASK] 3 [PAD] 4 [RESERVED] 5 [UNK] 6, A C G T N from 7; puts
        [CLS] and [SEP] around a sequence.

    Examples
    --------
    >>> tokenizer = hyenadna_tokenizer()
    >>> tokenizer.add_special(tokenizer.encode("ACGTNa")).tolist()
    [0, 7, 8, 9, 10, 11, 6, 1]
    """
    vocab = {token: id_ for id_, token in enumerate([*HYENADNA_SPECIAL, *DNA_LETTERS])}
    library = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    library.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    text, settings = surround(library, HYENADNA_SPECIAL, max_tokens)
    # The published class names these two beside BERT's roles, but puts [CLS] first.
    settings |= {"padding_side": "left", "bos_token": "[BOS]", "eos_token": "[SEP]"}
    settings["additional_special_tokens"] = ["[RESERVED]"]
    return CharTokenizer(text, settings)
