"""What a tokenizer is: the protocol, its configuration, and the types that it passes around.

In: a sequence as text, in the case of its file. Out: token ids as int32 arrays, the bases that
each token covers, and text again. Adding special tokens is a step of its own (`add_special`),
because a token store and packed rows hold documents without them. The models are fed by
others: nothing here knows of batches or tensors.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from helixlm.errors import InputError
from helixlm.seq.alphabet import DNA
from helixlm.tokenizers.presets import PRESETS, PresetName

Kind = Literal["bpe", "char", "kmer"]
Text = TypeVar("Text", bound=str | bytes)

SpecialOrder = Literal["roberta", "published", "dnabert2", "gena-lm"]

# IUPAC's letters alone: other text, such as the book's symbol "i", keeps its case and its length.
_UPPER = str.maketrans(DNA.symbols.lower(), DNA.symbols)

# Ids are positions in these tuples. "roberta" is the order of RoBERTa's own vocabulary, which
# RobertaConfig's default ids (bos 0, pad 1, eos 2) assume. "published" is the order in which
# TinyDNABERT's script passes its special tokens to the trainer: there, the default pad id 1 of
# the model names </s>, so a published checkpoint needs this order and a recipe needs care.
# "dnabert2" and "gena-lm" are those of the two published vocabularies; GENA-LM's sixth entry stands
# for a run of N, and both have rules of their own beside the order, see bpe.py.
SPECIAL_ORDERS: dict[SpecialOrder, tuple[str, ...]] = {
    "roberta": ("<s>", "<pad>", "</s>", "<unk>", "<mask>"),
    "published": ("<s>", "</s>", "<unk>", "<pad>", "<mask>"),
    "dnabert2": ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"),
    "gena-lm": ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]", "-"),
}


NUM_BASES = 4
MAX_VOCABULARY = 65_535
"""entries of a byte-pair vocabulary, special tokens counted"""


class TokenizerError(InputError):
    """A tokenizer folder, a vocabulary or a training text does not hold what it must."""


def size_problem(vocab_size: int, special_order: SpecialOrder) -> str | None:
    """Say why a byte-pair vocabulary cannot have so many entries; None if it can."""
    special = len(SPECIAL_ORDERS[special_order])
    if vocab_size < special + NUM_BASES:
        return (
            f"a vocabulary of {vocab_size} has no room: {special} special tokens and the "
            f"{NUM_BASES} bases need {special + NUM_BASES}"
        )
    if vocab_size > MAX_VOCABULARY:
        return (
            f"a vocabulary of {vocab_size:,} is too large, expected at most {MAX_VOCABULARY:,}: "
            "tokens are held in 16 bits while they are learned"
        )
    return None


class TokenizerConfig(BaseModel):
    """How a tokenizer is made: the `tokenizer` section of a recipe.

    References
    ----------
    The defaults of ``bpe`` are TinyDNABERT's (ForestsKing/TinyDNABERT, ``2_tokenizer.py``).
    The preset ``book`` is the vocabulary of chapter 2 of Nivard, Biological language models.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind = "bpe"
    """bpe: byte-pair encoding, trained on the corpus; char: one token a letter; kmer: words of k
    letters. The last two have nothing to train. A preset brings its own kind"""
    preset: PresetName | None = None
    """a published tokenizer by name, see presets.py; what it fixes need not and may not be set to
    anything else"""
    k: int = Field(default=6, ge=2, le=7)
    """kmer: letters of a word"""
    overlap: bool = True
    """kmer: a word at each letter, as DNABERT; else words side by side, as Nucleotide Transformer
    v2"""
    special_order: SpecialOrder = "roberta"
    """ids of the special tokens; published: as in TinyDNABERT's checkpoints (pad 3, not 1);
    dnabert2, gena-lm (bpe only): theirs, with their rules for case and unknown letters"""
    vocab_size: int = 1024
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

    @model_validator(mode="before")
    @classmethod
    def _fill_in_preset(cls, data: Any) -> Any:
        """Take what the preset fixes, and refuse what contradicts it."""
        if not isinstance(data, dict) or data.get("preset") not in PRESETS:
            return data
        name = data["preset"]
        preset = PRESETS[name]
        filled = {"max_tokens": preset.max_tokens, **data}
        for field, about in cls.model_fields.items():
            if field in ("preset", "max_tokens", *preset.free):
                continue
            fixed = preset.settings.get(field, about.default)
            if filled.setdefault(field, fixed) != fixed:
                raise ValueError(
                    f"preset {name!r} has {field} {fixed!r}, found {filled[field]!r}: leave "
                    f"{field} out, or leave the preset out"
                )
        return filled

    @model_validator(mode="after")
    def _vocabulary_has_room(self) -> "TokenizerConfig":
        problem = size_problem(self.vocab_size, self.special_order)
        if self.kind == "bpe" and problem is not None:
            raise ValueError(problem)
        return self

    @model_validator(mode="after")
    def _order_fits_kind(self) -> "TokenizerConfig":
        if self.kind != "bpe" and self.special_order not in ("roberta", "published"):
            raise ValueError(
                f"special_order {self.special_order!r} is one of kind 'bpe', but kind is "
                f"{self.kind!r}: leave special_order out"
            )
        if self.kind == "kmer" and self.special_order != "roberta":
            raise ValueError(
                f"special_order {self.special_order!r} does not go with kind 'kmer', whose ids are "
                "those of the published vocabularies: leave special_order out"
            )
        return self

    @property
    def overlap_bp(self) -> int:
        """Bases that each token will share with the one before it, see `Tokenizer`."""
        return self.k - 1 if self.kind == "kmer" and self.overlap else 0

    @property
    def longest_token_bp(self) -> int | None:
        """Bases of the longest token that there can be; None: no limit."""
        return {"bpe": self.max_token_bp, "char": 1, "kmer": self.k}[self.kind]

    @property
    def needs_text(self) -> bool:
        """Whether the vocabulary is trained, so that there must be a text."""
        return self.kind == "bpe"


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

    Three properties hold for every sequence of letters: the tokens cover it, without gap and, but
    for overlapping k-mers, without overlap; ``decode(encode(x))`` is `x` in upper case with N for
    each unknown letter (where the tokenizer keeps case, lower case is unknown too); and the
    saved folder, loaded with ``transformers.AutoTokenizer``, gives the same ids.

    What overlapping k-mers (`overlap_bp` over 0) do otherwise: each token covers `overlap_bp` bases
    of the one before it too, so the bases of a text are not the sum of its `token_bp`; a sequence
    shorter than a word has no token; `decode` gives N for a base that no known word covers. And
    GENA-LM's ``-`` stands for a run of N of any length, so its `decode` shortens such runs.

    The literal text of a special token inside a sequence (``"ACG<mask>T"``) is that token, as in
    transformers. No FASTA file that was read by helixlm holds such text.
    """

    @property
    def kind(self) -> Kind:
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
        """Bases that each token covers, int32, shape (V,): other special tokens than unk 0.

        unk covers as many as one unknown letter makes unknown: 1, or k for overlapping k-mers.
        """

    @property
    def overlap_bp(self) -> int:
        """Bases that a token shares with the one before it: k - 1 if k-mers overlap, else 0."""

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


def in_batches(
    sequences: Iterable[Text], *, letters: int, number: int | None = None
) -> Iterator[list[Text]]:
    """Group sequences in their order until a group has so many letters, or so many sequences."""
    batch: list[Text] = []
    held = 0
    for sequence in sequences:
        batch.append(sequence)
        held += len(sequence)
        if held >= letters or len(batch) == number:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


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
