"""From a token store to the batches of a run, as a pure function of (seed, step).

Comes in: one split of a token store, which holds documents without special tokens. Goes out:
micro-batches of fixed shapes, masked and ready for the model. A `RowPlan` says once which
documents lie in which row; the order of the rows changes with the epoch, and both follow from
the seed alone. So step 1,000 holds the same rows and masks in a run that was killed and resumed,
with any number of loader workers and on any number of devices. With BPE dropout, each row is
encoded anew whenever it comes up; the plan is that of the store, which is made without.

Shape letters: B rows of a micro-batch, L tokens in a row, M slots for masked tokens.
"""

from typing import Literal, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
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

    packing: Literal["documents", "concatenate"] = "documents"
    """Whole documents side by side in a row, apart in attention; or, as TinyDNABERT does, 1,000
    documents at a time joined with their special tokens, cut into full rows, the rest dropped."""
    row_tokens: int = Field(512, ge=8)
    """Tokens in a row, special tokens and padding included."""
    rows: int = Field(128, ge=1)
    """Rows of one optimiser step, over all devices and micro-batches."""
    bpe_dropout: float = Field(0.0, ge=0, lt=1)
    """Probability that byte-pair encoding leaves a merge out (BPE dropout), drawn anew whenever a
    training row comes up; 0: never; 0.1 is usual. A piece of a document keeps its number of tokens,
    so it shows fewer bases. Validation is always without. For tokenizer.kind bpe alone."""


class Documents(Protocol):
    """What is needed of a split of a token store."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each document."""

    @property
    def ends(self) -> NDArray[np.int64]:
        """Where each document ends in all of them laid end to end."""

    def tokens(self, start: int, stop: int) -> NDArray[np.integer]:
        """Return the tokens from `start` to `stop` of all documents laid end to end."""


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


class Row(NamedTuple):
    """A row before masking."""

    ids_L: NDArray[np.int64]
    document_L: NDArray[np.int32] | None
    """0 for padding, 1, 2, ... for the documents; None if the whole row is one document."""


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
        self.documents = documents
        self.config = config
        self.vocabulary = vocabulary
        bos, eos = vocabulary.bos, vocabulary.eos
        self._before = np.array([] if bos is None else [bos], dtype=np.int64)
        self._after = np.array([] if eos is None else [eos], dtype=np.int64)
        self._num_added = len(self._before) + len(self._after)
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
        room = self.config.row_tokens - self._num_added
        lengths = np.asarray(self.documents.lengths, dtype=np.int64)
        starts = np.asarray(self.documents.ends, dtype=np.int64) - lengths
        pieces = -(-lengths // room)
        first = np.repeat(np.cumsum(pieces) - pieces, pieces)
        nth = np.arange(len(first)) - first
        start = np.repeat(starts, pieces) + nth * room
        stop = np.minimum(start + room, np.repeat(starts + lengths, pieces))
        order = CounterRng("packing", seed).permutation(len(start))
        start, stop = start[order], stop[order]
        row = _best_fit(stop - start + self._num_added, self.config.row_tokens, OPEN_ROWS)
        by_row = np.argsort(row, kind="stable")
        self._start, self._stop = start[by_row], stop[by_row]
        self.num_rows = int(row.max()) + 1 if len(row) else 0
        self._row_ends = np.cumsum(np.bincount(row, minlength=self.num_rows))

    def _plan_cutting(self) -> None:
        """Count the full rows of each group of documents."""
        added = np.asarray(self.documents.lengths, dtype=np.int64) + self._num_added
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

    def row(self, index: int) -> Row:
        """Return one row, 0 <= index < num_rows, with its special tokens."""
        if self.config.packing == "documents":
            return self._packed_row(index)
        return self._cut_row(index)

    def _wrap(self, tokens: NDArray[np.integer]) -> NDArray[np.int64]:
        return np.concatenate([self._before, tokens, self._after])

    def _packed_row(self, index: int) -> Row:
        ids_L = np.full(self.config.row_tokens, self.vocabulary.pad, dtype=np.int64)
        document_L = np.zeros(self.config.row_tokens, dtype=np.int32)
        first = int(self._row_ends[index - 1]) if index else 0
        at = 0
        for number, piece in enumerate(range(first, int(self._row_ends[index])), start=1):
            tokens = self.documents.tokens(int(self._start[piece]), int(self._stop[piece]))
            wrapped = self._wrap(tokens)
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
            parts.append(
                self._wrap(self.documents.tokens(end - int(self.documents.lengths[document]), end))
            )
            at += len(parts[-1])
            document += 1
        joined = np.concatenate(parts)
        return Row(joined[start - begin : stop - begin], None)


class TrainingStream(torch.utils.data.Dataset[StepBatch]):
    """Batch of each step of a run: ``stream[step]`` is a pure function of (seed, step).

    Parameters
    ----------
    plan : RowPlan
        Which tokens lie in which row.
    masking : MaskingConfig
        Masking rates.
    seed : int
        Seed of row order and masks.
    micro_rows : int
        Rows of one forward pass; memory, not numbers, depend on it.
    rank, world_size : int
        This device and the number of devices; each takes its share of every step's rows.
    purpose : str
        Names the stream: training and validation draw different masks.
    dropout : RowDropout, optional
        Encode each row anew with BPE dropout. Its length and its special tokens stay: each piece
        between them keeps its number of tokens, see `redraw_row`.

    Raises
    ------
    InputError
        If the rows of a step cannot be shared out evenly, or if documents are joined without
        special tokens between them and dropout would merge across their borders.
    """

    def __init__(
        self,
        plan: RowPlan,
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

    def _row(self, sample: int) -> Row:
        """Return the row of the global sample number, with other ids if there is dropout."""
        row = self.plan.row(self._row_of_sample(sample))
        if self.dropout is None:
            return row
        table, p = self.dropout
        document_L = (
            np.zeros(len(row.ids_L), np.int32) if row.document_L is None else row.document_L
        )
        rng = CounterRng("bpe dropout", self.purpose, self.seed, sample)
        uniform = rng.uniform(num_draws(table, row.ids_L))
        return row._replace(ids_L=redraw_row(table, row.ids_L, document_L, p, uniform))

    def _micro_batch(self, samples: range) -> MicroBatch:
        rows = [self._row(sample) for sample in samples]
        masked = [
            mask_row(
                row.ids_L,
                self._maskable[row.ids_L],
                CounterRng("mask", self.purpose, self.seed, sample),
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
