"""What rows and batches are, and their settings; how they come about is told beside.

    documents of a store --packing.py--> rows --stream.py--> micro-batches, masked (masking.py)
    pieces of a letter store --drawn.py--> rows

All of it is a pure function of (seed, step). A `Plan` says once which documents lie in which row;
the order of the rows changes with the epoch, and both follow from the seed alone. So step 1,000
holds the same rows and masks in a run that was killed and resumed, with any number of loader
workers and on any number of devices. With BPE dropout, each row is encoded anew whenever it comes
up; the plan is that of the store, which is made without.

Shape letters: B rows of a micro-batch, L tokens in a row, M slots for masked tokens.
"""

from typing import Literal, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from helixlm.tokenizers.bpe_dropout import RowDropout


class LengthStage(BaseModel):
    """Steps of a run with shorter rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    row_tokens: int = Field(ge=8)
    """Tokens in a row, as `BatchConfig.row_tokens`."""
    steps: int = Field(ge=1)
    """Optimiser steps of the stage."""


class BatchConfig(BaseModel):
    """How documents become rows of tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    packing: Literal["documents", "single", "concatenate", "drawn"] = "documents"
    """documents: whole documents side by side in a row, apart in attention. single: one document a
    row. concatenate, as TinyDNABERT does: 1,000 documents at a time joined with their special
    tokens, cut into full rows, the rest dropped. drawn, as Nucleotide Transformer does: one window
    a row, drawn from its piece of the corpus anew in every epoch and tokenized then."""
    row_tokens: int = Field(512, ge=8)
    """Tokens in a row, special tokens and padding included. A drawn window is cut at it."""
    drawn_bp: int = Field(12_000, ge=1)
    """drawn: length of a window, bp. A piece that is shorter is taken whole."""
    jitter_bp: int = Field(200, ge=1)
    """drawn: the start of a window is uniform over the first so many positions of its piece, or
    over those from which a whole window is left, if they are fewer."""
    reverse_complement: float = Field(0.0, ge=0, le=1)
    """drawn: probability that a window is read from the other strand."""
    rows: int = Field(128, ge=1)
    """Rows of one optimiser step, over all devices and micro-batches."""
    pad_multiple: int | None = Field(None, ge=1)
    """single, drawn: rows are padded to the longest of their micro-batch, rounded up to a multiple
    of so many tokens; null: always to row_tokens. Each length that comes up is compiled for once.
    """
    order: Literal["random", "ascending"] = "random"
    """Order of the rows in an epoch. ascending (single, drawn): from few tokens to many, one
    species after the other: dnaGrinder's sequence length warm-up. Rows of a batch are then about as
    long, so pad_multiple saves most."""
    stages: tuple[LengthStage, ...] = ()
    """Shorter rows in the first steps, as in HyenaDNA's sequence length warm-up, such as
    [{row_tokens: 1026, steps: 2000}, {row_tokens: 2050, steps: 2000}]; after these row_tokens
    holds. Tokens of a step stay about the same: rows, and train.micro_rows, are multiplied by
    row_tokens over that of the stage, rounded. Drawn windows shorten in proportion."""
    softmask_weight: float = Field(1.0, ge=0)
    """Weight of the loss of tokens of which at least half is soft-masked (lower case), where others
    have 1; GPN and Evo 2 have 0.1. Validation weighs all alike."""
    bpe_dropout: float = Field(0.0, ge=0, lt=1)
    """Probability that byte-pair encoding leaves a merge out (BPE dropout), drawn anew whenever a
    training row comes up; 0: never; 0.1 is usual. A piece of a document keeps its number of tokens,
    so it shows fewer bases; a drawn window has as many tokens as it gets. Validation is always
    without. For tokenizer.kind bpe alone."""

    @model_validator(mode="after")
    def _strands_are_drawn(self) -> "BatchConfig":
        if self.reverse_complement and self.packing != "drawn":
            raise ValueError(
                f"reverse_complement {self.reverse_complement} turns windows around before they "
                f"are tokenized, and those of packing {self.packing!r} are tokens already: set "
                "reverse_complement to 0, or packing to 'drawn'"
            )
        return self

    @model_validator(mode="after")
    def _lengths_fit(self) -> "BatchConfig":
        if self.packing not in ("single", "drawn"):
            for name, default in (("order", "random"), ("pad_multiple", None)):
                if getattr(self, name) != default:
                    raise ValueError(
                        f"{name} {getattr(self, name)!r} is for rows of one document each, and "
                        f"packing {self.packing!r} fills rows: set packing to 'single' or 'drawn'"
                    )
        lengths = [*(stage.row_tokens for stage in self.stages), self.row_tokens]
        if lengths != sorted(set(lengths)):
            raise ValueError(
                f"stages with row_tokens {lengths[:-1]} before row_tokens {self.row_tokens}: "
                "expected each longer than the one before"
            )
        return self

    @model_validator(mode="after")
    def _tokens_keep_their_case(self) -> "BatchConfig":
        if self.softmask_weight != 1 and self.bpe_dropout and self.packing != "drawn":
            raise ValueError(
                f"softmask_weight {self.softmask_weight} goes by the tokens of the store, which "
                "bpe_dropout draws anew: set packing to 'drawn', or one of the two to its default"
            )
        return self

    def at_stage(self, stage: LengthStage) -> "BatchConfig":
        """Return the settings of a stage: shorter rows, and more of them.

        Examples
        --------
        >>> config = BatchConfig(row_tokens=32770, rows=8)
        >>> config.at_stage(LengthStage(row_tokens=1026, steps=1)).rows
        256
        """
        drawn_bp = max(1, self.drawn_bp * stage.row_tokens // self.row_tokens)
        return self.model_copy(
            update={
                "row_tokens": stage.row_tokens,
                "rows": self.rows * round(self.row_tokens / stage.row_tokens),
                "drawn_bp": drawn_bp,
                # A shorter window may lie anywhere in what the whole one would reach.
                "jitter_bp": self.jitter_bp + self.drawn_bp - drawn_bp,
                "stages": (),
            }
        )


class Documents(Protocol):
    """What is needed of a split of a token store, or of a letter store."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each document."""

    @property
    def ends(self) -> NDArray[np.int64]:
        """Where each document ends in all of them laid end to end."""

    def tokens(self, start: int, stop: int) -> NDArray[np.integer]:
        """Return the tokens from `start` to `stop` of all documents laid end to end."""

    def count_tokens(self, vocab_size: int) -> NDArray[np.int64]:
        """Return how often each id occurs, int64, shape (vocab_size,)."""


class Vocabulary(NamedTuple):
    """What batches need to know of a tokenizer."""

    size: int
    bos: int | None
    """Put before each document, if there is one."""
    eos: int | None
    """Put behind each document, if there is one."""
    pad: int
    mask: int
    special: tuple[int, ...]
    """Ids that are never masked nor drawn as random tokens."""
    token_bp: NDArray[np.int32]
    """Bases that each token covers and the one before it does not."""
    overlap_bp: int = 0
    """Bases that a token shares with the one before it."""

    @property
    def regular(self) -> NDArray[np.int64]:
        """Ids of all tokens that are not special, ascending."""
        return np.setdiff1d(np.arange(self.size), self.special)

    @property
    def num_added(self) -> int:
        """Tokens that `wrap` adds."""
        return (self.bos is not None) + (self.eos is not None)

    def wrap(self, tokens: NDArray[np.integer]) -> NDArray[np.int64]:
        """Put bos before and eos behind a document, as far as there are these."""
        before = [] if self.bos is None else [self.bos]
        after = [] if self.eos is None else [self.eos]
        return np.concatenate([before, tokens, after], dtype=np.int64, casting="unsafe")


class Row(NamedTuple):
    """A row before masking."""

    ids_L: NDArray[np.int64]
    document_L: NDArray[np.int32] | None
    """0 for padding, 1, 2, ... for the documents; None if the whole row is one document."""
    soft_L: NDArray[np.bool_] | None = None
    """Whether each token is soft-masked; None where nobody asks."""


class Sample(NamedTuple):
    """A place in a stream: the key of all that is drawn for the row that comes up there."""

    purpose: str
    """Training or validation."""
    seed: int
    number: int
    """Counted from the first row of the first epoch on."""


class Plan(Protocol):
    """The rows of one split: how many there are, and what each holds when it comes up."""

    @property
    def config(self) -> BatchConfig:
        """Packing and row length."""

    @property
    def vocabulary(self) -> Vocabulary:
        """Special tokens and bases per token."""

    @property
    def num_rows(self) -> int:
        """Rows of an epoch."""

    def row(self, index: int, sample: Sample, dropout: RowDropout | None) -> Row:
        """Return a row, 0 <= index < num_rows, as it is at a place in the stream."""

    def tokens_of_rows(self) -> NDArray[np.int64]:
        """Return about how many tokens each row has, for their order, shape (num_rows,)."""

    @property
    def species(self) -> NDArray[np.integer] | None:
        """Number of the species of each row, shape (num_rows,); None: all of one."""

    def counted(self) -> Documents:
        """Return the documents whose tokens tell what is frequent, without dropout."""


class Stage(NamedTuple):
    """The rows of some steps of a run."""

    plan: Plan
    steps: int


class Softmask(Protocol):
    """Which tokens of a split of a token store are soft-masked."""

    def tokens(self, start: int, stop: int) -> NDArray[np.bool_]:
        """Return it for tokens `start` to `stop` of all documents laid end to end."""


class MicroBatch(NamedTuple):
    """What one forward and backward pass takes."""

    input_ids_BL: Tensor
    document_ids_BL: Tensor | None
    masked_index_M: Tensor
    """Flat positions of the hidden tokens; in a causal batch, of all that have a next token."""
    labels_M: Tensor
    """The hidden tokens, or the next ones."""
    weight_M: Tensor | None = None
    """Weights of their losses, 0 in unused slots; None: all 1."""

    def to(self, device: torch.device) -> "MicroBatch":
        """Return the same batch on a device."""
        documents, weight = self.document_ids_BL, self.weight_M
        return MicroBatch(
            self.input_ids_BL.to(device, non_blocking=True),
            None if documents is None else documents.to(device, non_blocking=True),
            self.masked_index_M.to(device, non_blocking=True),
            self.labels_M.to(device, non_blocking=True),
            None if weight is None else weight.to(device, non_blocking=True),
        )


class StepBatch(NamedTuple):
    """What one optimiser step takes on one device, with its counts over that device's rows."""

    step: int
    micro: list[MicroBatch]
    num_masked: int
    """Tokens that are asked for: hidden ones, or, in a causal batch, next ones."""
    weight: float
    """Sum of the weights of these; `num_masked` if all have 1."""
    masked_bp: float
    """Bases under these, each times the weight."""
    num_tokens: int
    """Tokens that are not padding."""
