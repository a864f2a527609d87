"""Overlapping k-mers in transformers: with helixlm imported, AutoTokenizer reads raw sequences.

In: a folder that `OverlappingKmerTokenizer.save` wrote. Out: a fast tokenizer of transformers that
turns sequences into spaced words before the library sees them. It is apart from the rest because
it imports transformers; no other tokenizer of helixlm needs code of ours.

    import helixlm
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained("folder")

Without the import, transformers takes the folder for a tokenizer of words, so that spaced words
give the right ids and a raw sequence is a single [UNK].
"""

import re
from functools import cached_property
from typing import Any

import numpy as np
from transformers import (
    AutoTokenizer,
    BatchEncoding,
    PretrainedConfig,
    PreTrainedTokenizerFast,
)

from helixlm.tokenizers.kmer_overlapping import Spaced, spaced_words
from helixlm.tokenizers.library import literal_pattern


class HelixlmKmerTokenizer(PreTrainedTokenizerFast):
    """A fast tokenizer for raw sequences and for spaced words.

    Token ids, special tokens, padding and cutting are those of transformers. ``offset_mapping``
    counts letters of the text that was given. What else transformers computes from characters
    (``char_to_token`` and the like) counts letters of the spaced words.
    """

    @cached_property
    def k(self) -> int:
        """Letters of a word, read off the vocabulary."""
        words = self.get_vocab().keys() - self.get_added_vocab().keys()
        return max(map(len, words))

    @cached_property
    def _literal(self) -> re.Pattern[str]:
        return literal_pattern(self._tokenizer.get_added_tokens_decoder().values())

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_literal"}

    def add_tokens(self, *args: Any, **kwargs: Any) -> int:
        """Add tokens, as transformers does."""
        self.__dict__.pop("_literal", None)
        return int(super().add_tokens(*args, **kwargs))

    def _spaced(self, text: Any) -> Spaced:
        return spaced_words(text, self.k, self._literal)

    def _encode_plus(
        self,
        text: Any,
        text_pair: Any = None,
        *,
        is_split_into_words: bool = False,
        return_offsets_mapping: bool = False,
        return_tensors: Any = None,
        **kwargs: Any,
    ) -> BatchEncoding:
        """Space the words out, encode them, and count offsets in the text that was given."""
        kwargs |= {"is_split_into_words": is_split_into_words}
        if is_split_into_words:  # words already
            return super()._encode_plus(
                text,
                text_pair,
                return_offsets_mapping=return_offsets_mapping,
                return_tensors=return_tensors,
                **kwargs,
            )
        is_batch = isinstance(text, list | tuple)
        firsts = list(text) if is_batch else [text]
        seconds = [None] * len(firsts)
        if text_pair:
            seconds = list(text_pair) if is_batch else [text_pair]
        samples = [
            tuple(first) if isinstance(first, list | tuple) else (first, second)
            for first, second in zip(firsts, seconds, strict=True)
        ]
        spaced = [[self._spaced(part) for part in parts if part is not None] for parts in samples]
        joined = [tuple(" ".join(part.words) for part in parts) for parts in spaced]
        given = [parts[0] if len(parts) == 1 else parts for parts in joined]
        # A pair of which the second is empty must stay a pair, so it goes in as a batch of one.
        found = super()._encode_plus(
            given, return_offsets_mapping=return_offsets_mapping, return_tensors=None, **kwargs
        )
        if return_offsets_mapping:
            owners = found.get("overflow_to_sample_mapping", range(len(found.encodings)))
            found["offset_mapping"] = [
                _offsets(encoding, spaced[owner])
                for encoding, owner in zip(found.encodings, owners, strict=True)
            ]
        if return_tensors is not None:
            return found.convert_to_tensors(return_tensors)
        if is_batch or kwargs.get("return_overflowing_tokens"):
            return found
        return BatchEncoding({key: value[0] for key, value in found.items()}, found.encodings)


def _offsets(encoding: Any, parts: list[Spaced]) -> list[tuple[int, int]]:
    """Turn offsets in spaced words into offsets in the texts that were given."""
    begins = [
        np.cumsum([0] + [len(word) + 1 for word in part.words]).astype(np.int64) for part in parts
    ]
    offsets = []
    for (start, end), which in zip(encoding.offsets, encoding.sequence_ids, strict=True):
        if which is not None:
            word = int(np.searchsorted(begins[which], start, side="right")) - 1
            start, end = int(parts[which].starts[word]), int(parts[which].ends[word])
        offsets.append((start, end))
    return offsets


class HelixlmKmerConfig(PretrainedConfig):
    """A name for AutoTokenizer to register the class under; no model has it."""

    model_type = "helixlm-kmer"


AutoTokenizer.register(HelixlmKmerConfig, fast_tokenizer_class=HelixlmKmerTokenizer, exist_ok=True)
