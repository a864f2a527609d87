"""Byte-pair encoding of DNA: the most frequent neighbours merged, in the order of training.

In: letters and a trained vocabulary. Out: ids. A sequence is one word: nothing splits it before
the merges, and since no merge holds an unknown letter, none crosses one. Lower case is read
as upper case and each letter other than A, C, G and T is one <unk>. Training is in bpe_train.py.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models

from helixlm.tokenizers.assemble import surround, upper_case_normalizer
from helixlm.tokenizers.base import SPECIAL_ORDERS, SpecialOrder, TokenizerError
from helixlm.tokenizers.library import LibraryTokenizer

BASES = "ACGT"
UPPER = str.maketrans(BASES.lower(), BASES)


class BpeTokenizer(LibraryTokenizer):
    """Byte-pair encoding through the `tokenizers` library."""

    kind = "bpe"

    def __init__(
        self, text: str, settings: Mapping[str, Any] | None = None, *, source: str = "tokenizer"
    ) -> None:
        super().__init__(text, settings, source=source)
        if json.loads(text)["model"].get("dropout"):
            raise TokenizerError(
                f"{source}: the model leaves merges out at random (dropout), so the same sequence "
                "would give other ids each time: set dropout to null in tokenizer.json"
            )
        # Upper case by the normaliser costs the library half its speed on soft-masked text;
        # str.translate costs nothing, so this copy goes without.
        self._upper_first = self._library.normalizer is not None and (
            json.loads(text)["normalizer"] == json.loads(upper_case_json())
        )
        self._plain = Tokenizer.from_str(self._library.to_str())
        if self._upper_first:
            self._plain.normalizer = None

    @property
    def merges(self) -> list[tuple[str, str]]:
        """The pairs of tokens that are merged, first learned first."""
        merges = json.loads(self._text)["model"]["merges"]
        # Files written before tokenizers 0.20 hold "A C" in place of ["A", "C"].
        pairs = (merge.split(" ") if isinstance(merge, str) else merge for merge in merges)
        return [(left, right) for left, right in pairs]

    def _encode_slice(self, batch: list[str]) -> list[NDArray[np.int32]]:
        """Encode what holds no literal special token without the normaliser."""
        if self._upper_first and not any(map(self._literal.search, batch)):
            batch = [sequence.translate(UPPER) for sequence in batch]
            encodings = self._plain.encode_batch_fast(batch, add_special_tokens=False)
            return [np.array(encoding.ids, dtype=np.int32) for encoding in encodings]
        return super()._encode_slice(batch)


def upper_case_json() -> str:
    """Text of the normaliser that `bpe_tokenizer` writes, as the library spells it."""
    library = Tokenizer(models.BPE())
    library.normalizer = upper_case_normalizer(BASES)
    return json.dumps(json.loads(library.to_str())["normalizer"])


def bpe_tokenizer(
    merges: Sequence[tuple[str, str]],
    *,
    special_order: SpecialOrder = "roberta",
    max_tokens: int | None = 512,
) -> BpeTokenizer:
    """Make a tokenizer from a list of merges: special tokens, then A C G T, then the merges.

    Parameters
    ----------
    merges : sequence of (str, str)
        Pairs of tokens, first learned first. Two merges that spell the same token share its id.
    special_order : {"roberta", "published"}
        Order of the special tokens, see `SPECIAL_ORDERS`.
    max_tokens : int, optional
        Longest input of the model in tokens, for transformers.

    Returns
    -------
    BpeTokenizer
        Puts <s> and </s> around a sequence.

    Examples
    --------
    >>> tokenizer = bpe_tokenizer([("T", "A"), ("TA", "TA")])
    >>> [tokenizer.tokens[i] for i in tokenizer.encode("gTATATANTA")]
    ['G', 'TATA', 'TA', '<unk>', 'TA']
    >>> tokenizer.encode_with_offsets("TATAC").ends.tolist()
    [4, 5]
    """
    special = SPECIAL_ORDERS[special_order]
    # A dict keeps the first place of a token that two merges spell.
    tokens = dict.fromkeys([*special, *BASES, *(left + right for left, right in merges)])
    vocab = {token: id_ for id_, token in enumerate(tokens)}
    library = Tokenizer(models.BPE(vocab, list(merges), unk_token="<unk>"))
    library.normalizer = upper_case_normalizer(BASES)
    return BpeTokenizer(*surround(library, special, max_tokens))
