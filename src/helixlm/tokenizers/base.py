"""What a tokenizer is: the protocol, its configuration, and the types that it passes around.

In: a sequence as text, in the case of its file. Out: token ids as int32 arrays, the bases that
each token covers, and text again. Adding special tokens is a step of its own (`add_special`),
because a token store and packed rows hold documents without them. The models are fed by
others: nothing here knows of batches or tensors.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from helixlm.errors import InputError
from helixlm.seq.alphabet import DNA

SpecialOrder = Literal["roberta", "published"]

# IUPAC's letters alone: other text, such as the book's symbol "i", keeps its case and its length.
_UPPER = str.maketrans(DNA.symbols.lower(), DNA.symbols)

# Ids are positions in these tuples. "roberta" is the order of RoBERTa's own vocabulary, which
# RobertaConfig's default ids (bos 0, pad 1, eos 2) assume. "published" is the order in which
# TinyDNABERT's script passes its special tokens to the trainer: there, the default pad id 1 of
# the model names </s>, so a published checkpoint needs this order and a recipe needs care.
SPECIAL_ORDERS: dict[SpecialOrder, tuple[str, ...]] = {
    "roberta": ("<s>", "<pad>", "</s>", "<unk>", "<mask>"),
    "published": ("<s>", "</s>", "<unk>", "<pad>", "<mask>"),
}


class TokenizerError(InputError):
    """A tokenizer folder, a vocabulary or a training text does not hold what it must."""


class TokenizerConfig(BaseModel):
    """How a tokenizer is made: the `tokenizer` section of a recipe.

    References
    ----------
    The defaults of ``bpe`` are TinyDNABERT's (ForestsKing/TinyDNABERT, ``2_tokenizer.py``).
    The preset ``book`` is the vocabulary of chapter 2 of Nivard, Biological language models.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["bpe", "char"] = "bpe"
    """bpe: byte-pair encoding, trained on the corpus; char: one token a letter, nothing to train"""
    preset: Literal["book"] | None = None
    """a published vocabulary by name; book: 23 symbols, upper case only, no <s> or </s>"""
    special_order: SpecialOrder = "roberta"
    """ids of the special tokens; published: as in TinyDNABERT's checkpoints (pad 3, not 1)"""
    vocab_size: int = Field(default=1024, ge=9)
    """bpe: entries of the vocabulary, with the 5 special tokens and the 4 bases"""
    min_frequency: int = Field(default=4, ge=1)
    """bpe: a pair is merged only if it occurs at least this often in the training text"""
    method: Literal["exact", "sample", "iterative"] = "exact"
    """bpe: train on the whole text; on a part of its lines (TinyDNABERT); or part by part, the
    rarer tokens replaced (dnaGrinder). What the shortcuts lose: helixlm tokenizer report"""
    sample_every: int = Field(default=10, ge=1)
    """method sample: train on every n-th sequence, starting with the first"""
    part_bp: int | None = Field(default=None, ge=1)
    """method iterative: least bases of a part, which whole sequences make up; null: each file, or
    corpus, is a part, as dnaGrinder has it"""
    max_token_bp: int | None = Field(default=None, ge=2)
    """bpe: longest token in bases; null: no limit"""
    max_tokens: int | None = Field(default=512, ge=1)
    """longest input of the model in tokens, special tokens counted; null: no limit. It is written
    for transformers (model_max_length); encoding never cuts"""

    @model_validator(mode="after")
    def _preset_fits_kind(self) -> Self:
        if self.preset == "book" and self.kind != "char":
            raise ValueError(
                f"preset 'book' is a vocabulary of single letters, but kind is {self.kind!r}: "
                "set kind to 'char', or leave the preset out"
            )
        return self


class SpecialTokens(NamedTuple):
    """Ids of the special tokens; None where the tokenizer has no such token.

    `bos` and `eos` are the tokens that are put around a sequence. A tokenizer that puts none
    there has None, even if its vocabulary holds names such as ``[CLS]``.
    """

    bos: int | None
    eos: int | None
    unk: int
    pad: int | None
    mask: int | None


class Encoding(NamedTuple):
    """Token ids of one sequence and the bases [start, end) of it that each token covers."""

    ids: NDArray[np.int32]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]


class Tokenizer(Protocol):
    """Turns sequences into token ids and back.

    Three properties hold for every sequence of letters: the tokens cover it without gap or overlap;
    ``decode(encode(x))`` is `x` in upper case with N for each unknown letter (where the
    tokenizer keeps case, lower case is unknown too); and the saved folder, loaded with
    ``transformers.AutoTokenizer``, gives the same ids.

    The literal text of a special token inside a sequence (``"ACG<mask>T"``) is that token, as in
    transformers. No FASTA file that was read by helixlm holds such text.
    """

    @property
    def kind(self) -> Literal["bpe", "char"]:
        """What sort of tokenizer this is."""

    @property
    def vocab_size(self) -> int:
        """Number of ids, special tokens counted."""

    @property
    def special(self) -> SpecialTokens:
        """Ids of the special tokens that others need by their role."""

    @property
    def special_ids(self) -> NDArray[np.int32]:
        """All ids that stand for no known base, in order (unk among them), int32, shape (s,)."""

    @property
    def tokens(self) -> list[str]:
        """The text of each token, by id."""

    @property
    def token_bp(self) -> NDArray[np.int32]:
        """Bases that each token covers, int32, shape (V,): unk 1, other special tokens 0."""

    @property
    def max_tokens(self) -> int | None:
        """Longest input of the model in tokens, special tokens counted. Encoding never cuts."""

    @property
    def keeps_case(self) -> bool:
        """Whether lower-case bases are unknown letters; `in_its_case` then gives upper case."""

    @property
    def sha256(self) -> str:
        """Hash of the bytes of tokenizer.json, 64 hexadecimal digits."""

    def encode(self, sequence: str) -> NDArray[np.int32]:
        """Return the token ids of one sequence without special tokens, int32, shape (n,)."""

    def encode_batch(self, sequences: Sequence[str]) -> list[NDArray[np.int32]]:
        """Return `encode` of each sequence, on all cores."""

    def encode_with_offsets(self, sequence: str) -> Encoding:
        """Return the token ids of one sequence and which bases each token covers."""

    def decode(self, ids: ArrayLike) -> str:
        """Return the bases of the tokens: special tokens are dropped, unk becomes N."""

    def add_special(self, ids: ArrayLike) -> NDArray[np.int32]:
        """Return the ids with bos before and eos after them, as far as the tokenizer has these."""

    def save(self, folder: str | Path, *, max_tokens: int | None = None) -> None:
        """Write a folder that `load_tokenizer` and ``AutoTokenizer.from_pretrained`` read."""


def in_its_case(tokenizer: Tokenizer, sequences: Sequence[str]) -> list[str]:
    """Return sequences in the case that a tokenizer reads.

    Parameters
    ----------
    tokenizer : Tokenizer
        Where it keeps case, lower-case bases would be unknown letters to it.
    sequences : sequence of str
        DNA, possibly soft-masked.

    Returns
    -------
    list of str
        In upper case if the tokenizer keeps case, else as given; of the same lengths.
    """
    if not tokenizer.keeps_case:
        return list(sequences)
    return [sequence.translate(_UPPER) for sequence in sequences]
