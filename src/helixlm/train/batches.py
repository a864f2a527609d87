"""From a token store to the batches of a run, as a pure function of (seed, step).

Comes in: one split of a token store, which holds documents without special tokens. Goes out:
micro-batches of fixed shapes, masked and ready for the model. A `RowPlan` says once which
documents lie in which row; the order of the rows changes with the epoch, and both follow from
the seed alone. So step 1,000 holds the same rows and masks in a run that was killed and resumed,
with any number of loader workers and on any number of devices. With BPE dropout, each row is
encoded anew whenever it comes up; the plan is that of the store, which is made without. Rows that
are drawn and encoded while training runs are in `drawn.py`.

Shape letters: B rows of a micro-batch, L tokens in a row, M slots for masked tokens.
"""

from typing import Literal, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from helixlm.errors import InputError
from helixlm.jit import compiled
from helixlm.rng import CounterRng
from helixlm.tokenizers.bpe_dropout import RowDropout, num_draws, redraw_row
from helixlm.train.masking import MaskingConfig, fill_slots, mask_row

OPEN_ROWS = 64
"""Rows that packing keeps open: more fill better and take longer. 64 leave about 1 % empty."""

GROUP_DOCUMENTS = 1000
"""Documents that are concatenated before cutting: the map batch of `datasets` in TinyDNABERT."""


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
    """Bases that each token covers."""

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
    labels_M: Tensor

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
    masked_bp: int
    """Bases under the masked tokens."""
    num_tokens: int
    """Tokens that are not padding."""


@compiled
def _best_fit(lengths: NDArray[np.int64], row_tokens: int, num_open: int) -> NDArray[np.int64]:
    """Give each piece, in the order given, the row in which it leaves the least room."""
    row_of = np.empty(len(lengths), dtype=np.int64)
    room = np.zeros(num_open, dtype=np.int64)
    row = np.full(num_open, -1, dtype=np.int64)
    num_rows = 0
    for piece in range(len(lengths)):
        best = -1
        fullest = 0
        for k in range(num_open):
            if room[k] >= lengths[piece] and (best < 0 or room[k] < room[best]):
                best = k
            if room[k] < room[fullest]:
                fullest = k
        if best < 0:  # Nothing fits: close the fullest row and open a new one in its place.
            best = fullest
            row[best] = num_rows
            room[best] = row_tokens
            num_rows += 1
        row_of[piece] = row[best]
        room[best] -= lengths[piece]
    return row_of


class RowPlan:
    """Which tokens of a store lie in which row; the same for every epoch.

    Parameters
    ----------
    documents : Documents
        A split of a token store.
    config : BatchConfig
        Packing and row length.
    vocabulary : Vocabulary
        Special tokens.
    seed : int
        Seed of the order in which documents are packed.

    Raises
    ------
    InputError
        If there are too few tokens for a single row.
    """

    def __init__(
        self, documents: Documents, config: BatchConfig, vocabulary: Vocabulary, seed: int
    ) -> None:
        assert config.packing != "drawn", "DrawnRows draws windows"
        self.documents = documents
        self.config = config
        self.vocabulary = vocabulary
        if config.packing == "documents":
            self._plan_packing(seed)
        else:
            self._plan_cutting()
        if self.num_rows == 0:
            raise InputError(
                f"{int(documents.lengths.sum()):,} tokens in {len(documents.lengths):,} documents "
                f"do not fill one row of {config.row_tokens} tokens: expected more sequence or a "
                f"smaller batches.row_tokens"
            )

    def _plan_packing(self, seed: int) -> None:
        """Cut documents that are longer than a row, then pack the pieces."""
        room = self.config.row_tokens - self.vocabulary.num_added
        lengths = np.asarray(self.documents.lengths, dtype=np.int64)
        starts = np.asarray(self.documents.ends, dtype=np.int64) - lengths
        pieces = -(-lengths // room)
        first = np.repeat(np.cumsum(pieces) - pieces, pieces)
        nth = np.arange(len(first)) - first
        start = np.repeat(starts, pieces) + nth * room
        stop = np.minimum(start + room, np.repeat(starts + lengths, pieces))
        order = CounterRng("packing", seed).permutation(len(start))
        start, stop = start[order], stop[order]
        added = stop - start + self.vocabulary.num_added
        row = _best_fit(added, self.config.row_tokens, OPEN_ROWS)
        by_row = np.argsort(row, kind="stable")
        self._start, self._stop = start[by_row], stop[by_row]
        self.num_rows = int(row.max()) + 1 if len(row) else 0
        self._row_ends = np.cumsum(np.bincount(row, minlength=self.num_rows))

    def _plan_cutting(self) -> None:
        """Count the full rows of each group of documents."""
        added = np.asarray(self.documents.lengths, dtype=np.int64) + self.vocabulary.num_added
        # Position of each document's end in the joined stream, special tokens counted.
        self._joined_ends = np.cumsum(added)
        last = np.minimum(
            np.arange(GROUP_DOCUMENTS, len(added) + GROUP_DOCUMENTS, GROUP_DOCUMENTS), len(added)
        )
        group_ends = self._joined_ends[last - 1] if len(added) else np.zeros(0, dtype=np.int64)
        self._group_starts = np.concatenate([[0], group_ends[:-1]]).astype(np.int64)
        rows = (group_ends - self._group_starts) // self.config.row_tokens
        self._group_row_ends = np.cumsum(rows)
        self.num_rows = int(rows.sum())

    def row(
        self, index: int, sample: Sample | None = None, dropout: RowDropout | None = None
    ) -> Row:
        """Return one row with its special tokens.

        Parameters
        ----------
        index : int
            Number of the row, 0 <= index < num_rows.
        sample : Sample, optional
            Where in the stream it comes up; without dropout it is the same everywhere.
        dropout : RowDropout, optional
            Encode the row anew; its length and its special tokens stay, see `redraw_row`.
        """
        packed = self.config.packing == "documents"
        row = self._packed_row(index) if packed else self._cut_row(index)
        if dropout is None:
            return row
        assert sample is not None, "dropout is drawn for a sample"
        table, p = dropout
        document_L = (
            np.zeros(len(row.ids_L), np.int32) if row.document_L is None else row.document_L
        )
        uniform = CounterRng("bpe dropout", *sample).uniform(num_draws(table, row.ids_L))
        return row._replace(ids_L=redraw_row(table, row.ids_L, document_L, p, uniform))

    def counted(self) -> Documents:
        """Return the documents that the rows are made of."""
        return self.documents

    def _packed_row(self, index: int) -> Row:
        ids_L = np.full(self.config.row_tokens, self.vocabulary.pad, dtype=np.int64)
        document_L = np.zeros(self.config.row_tokens, dtype=np.int32)
        first = int(self._row_ends[index - 1]) if index else 0
        at = 0
        for number, piece in enumerate(range(first, int(self._row_ends[index])), start=1):
            tokens = self.documents.tokens(int(self._start[piece]), int(self._stop[piece]))
            wrapped = self.vocabulary.wrap(tokens)
            ids_L[at : at + len(wrapped)] = wrapped
            document_L[at : at + len(wrapped)] = number
            at += len(wrapped)
        return Row(ids_L, document_L)

    def _cut_row(self, index: int) -> Row:
        group = int(np.searchsorted(self._group_row_ends, index, side="right"))
        nth = index - (int(self._group_row_ends[group - 1]) if group else 0)
        start = int(self._group_starts[group]) + nth * self.config.row_tokens
        stop = start + self.config.row_tokens
        document = int(np.searchsorted(self._joined_ends, start, side="right"))
        begin = int(self._joined_ends[document - 1]) if document else 0
        parts = []
        at = begin
        while at < stop:
            end = int(self.documents.ends[document])
            tokens = self.documents.tokens(end - int(self.documents.lengths[document]), end)
            parts.append(self.vocabulary.wrap(tokens))
            at += len(parts[-1])
            document += 1
        joined = np.concatenate(parts)
        return Row(joined[start - begin : stop - begin], None)


class TrainingStream(torch.utils.data.Dataset[StepBatch]):
    """Batch of each step of a run: ``stream[step]`` is a pure function of (seed, step).

    Parameters
    ----------
    plan : Plan
        What each row holds.
    masking : MaskingConfig
        Masking rates.
    seed : int
        Seed of row order, masks and all else that is drawn.
    micro_rows : int
        Rows of one forward pass; memory, not numbers, depend on it.
    rank, world_size : int
        This device and the number of devices; each takes its share of every step's rows.
    purpose : str
        Names the stream: training and validation draw different masks.
    dropout : RowDropout, optional
        Encode each row anew with BPE dropout, see `Plan.row`.

    Raises
    ------
    InputError
        If the rows of a step cannot be shared out evenly, or if documents are joined without
        special tokens between them and dropout would merge across their borders.
    """

    def __init__(
        self,
        plan: Plan,
        masking: MaskingConfig,
        *,
        seed: int,
        micro_rows: int,
        rank: int = 0,
        world_size: int = 1,
        purpose: str = "train",
        dropout: RowDropout | None = None,
    ) -> None:
        rows = plan.config.rows
        if rows % (world_size * micro_rows):
            raise InputError(
                f"{rows} rows a step do not divide over {world_size} device(s) with micro-batches "
                f"of {micro_rows} rows: expected batches.rows to be a multiple of "
                f"{world_size * micro_rows}; change batches.rows or train.micro_rows"
            )
        no_borders = plan.vocabulary.bos is None and plan.vocabulary.eos is None
        if dropout is not None and no_borders and plan.config.packing == "concatenate":
            raise InputError(
                "batches.bpe_dropout: the tokenizer puts no special token before or after a "
                "document, so in rows of packing 'concatenate' dropout would merge across "
                "documents: set batches.packing to 'documents', or batches.bpe_dropout to 0"
            )
        self.plan = plan
        self.dropout = dropout
        self.masking = masking
        self.seed = seed
        self.micro_rows = micro_rows
        self.share = rows // world_size
        self.rank = rank
        self.purpose = purpose
        special = np.zeros(plan.vocabulary.size, dtype=bool)
        special[list(plan.vocabulary.special)] = True
        self._maskable = ~special
        self._regular = plan.vocabulary.regular
        self._order: tuple[int, NDArray[np.int64]] | None = None

    def _row_of_sample(self, sample: int) -> int:
        """Return the row of the global sample number: epochs follow each other without a seam."""
        epoch, nth = divmod(sample, self.plan.num_rows)
        if self._order is None or self._order[0] != epoch:
            rng = CounterRng("rows", self.purpose, self.seed, epoch)
            self._order = (epoch, rng.permutation(self.plan.num_rows))
        return int(self._order[1][nth])

    def __getitem__(self, step: int) -> StepBatch:
        first = step * self.plan.config.rows + self.rank * self.share
        samples = range(first, first + self.share)
        micro, masked_bp, num_masked, num_tokens = [], 0, 0, 0
        for begin in range(0, self.share, self.micro_rows):
            part = self._micro_batch(samples[begin : begin + self.micro_rows])
            labels = part.labels_M.numpy()
            labels = labels[labels >= 0]
            num_masked += len(labels)
            masked_bp += int(self.plan.vocabulary.token_bp[labels].sum())
            num_tokens += int((part.input_ids_BL != self.plan.vocabulary.pad).sum())
            micro.append(part)
        return StepBatch(step, micro, num_masked, masked_bp, num_tokens)

    def _micro_batch(self, numbers: range) -> MicroBatch:
        samples = [Sample(self.purpose, self.seed, number) for number in numbers]
        rows = [
            self.plan.row(self._row_of_sample(sample.number), sample, self.dropout)
            for sample in samples
        ]
        masked = [
            mask_row(
                row.ids_L,
                self._maskable[row.ids_L],
                CounterRng("mask", *sample),
                config=self.masking,
                mask_id=self.plan.vocabulary.mask,
                random_ids=self._regular,
            )
            for row, sample in zip(rows, samples, strict=True)
        ]
        ids_BL = np.stack([row.ids_L for row in rows])
        slots = fill_slots(ids_BL, [row.hidden_K for row in masked], self.masking.rate)
        documents = [row.document_L for row in rows if row.document_L is not None]
        return MicroBatch(
            torch.from_numpy(np.stack([row.shown_L for row in masked])),
            torch.from_numpy(np.stack(documents)) if documents else None,
            torch.from_numpy(slots.masked_index_M),
            torch.from_numpy(slots.labels_M),
        )
