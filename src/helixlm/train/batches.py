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


class BatchConfig(BaseModel):
    """How documents become rows of tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    packing: Literal["documents", "concatenate", "drawn"] = "documents"
    """Whole documents side by side in a row, apart in attention; or, as TinyDNABERT does, 1,000
    documents at a time joined with their special tokens, cut into full rows, the rest dropped; or,
    as Nucleotide Transformer does, one window a row, drawn from its piece of the corpus anew in
    every epoch and tokenized then."""
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

    def counted(self) -> Documents:
        """Return the documents whose tokens tell what is frequent, without dropout."""


class MicroBatch(NamedTuple):
    """What one forward and backward pass takes."""

    input_ids_BL: Tensor
    document_ids_BL: Tensor | None
    masked_index_M: Tensor
    """Flat positions of the hidden tokens; in a causal batch, of all that have a next token."""
    labels_M: Tensor
    """The hidden tokens, or the next ones."""

    def to(self, device: torch.device) -> "MicroBatch":
        """Return the same batch on a device."""
        documents = self.document_ids_BL
        return MicroBatch(
            self.input_ids_BL.to(device, non_blocking=True),
            None if documents is None else documents.to(device, non_blocking=True),
            self.masked_index_M.to(device, non_blocking=True),
            self.labels_M.to(device, non_blocking=True),
        )


class StepBatch(NamedTuple):
    """What one optimiser step takes on one device, with its counts over that device's rows."""

    step: int
    micro: list[MicroBatch]
    num_masked: int
    """Tokens that are asked for: hidden ones, or, in a causal batch, next ones."""
    masked_bp: int
    """Bases under these."""
    num_tokens: int
    """Tokens that are not padding."""
