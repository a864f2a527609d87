"""The batches of a run: rows in the order of the epoch, masked, as a pure function of (seed, step).

Comes in: a `Plan` of rows and how to mask them. Goes out: for each step the micro-batches of one
device, of fixed shapes and ready for the model.

Shape letters: B rows of a micro-batch, L tokens in a row, M slots for masked tokens.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from helixlm.errors import InputError
from helixlm.rng import CounterRng
from helixlm.tokenizers.bpe_dropout import RowDropout
from helixlm.train.batches import MicroBatch, Plan, Row, Sample, StepBatch
from helixlm.train.masking import Masker, MaskingConfig
from helixlm.train.slots import Slots, ask_next, fill_slots


class TrainingStream(torch.utils.data.Dataset[StepBatch]):
    """Batch of each step of a run: ``stream[step]`` is a pure function of (seed, step).

    Parameters
    ----------
    plan : Plan
        What each row holds.
    masking : MaskingConfig, optional
        What is hidden. None: nothing, and each token is asked for the one behind it, as a causal
        model learns.
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
        If the rows of a step cannot be shared out evenly, if documents are joined without
        special tokens between them and dropout would merge across their borders, or if the masking
        does not go with the tokens.
    """

    def __init__(
        self,
        plan: Plan,
        masking: MaskingConfig | None,
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
        self.seed = seed
        self.micro_rows = micro_rows
        self.share = rows // world_size
        self.rank = rank
        self.purpose = purpose
        self._masker = None if masking is None else Masker(masking, plan.vocabulary)
        self._asked_V = ~np.isin(np.arange(plan.vocabulary.size), plan.vocabulary.special)
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
            part = self._micro_batch(samples[begin : begin + self.micro_rows], step)
            labels = part.labels_M.numpy()
            labels = labels[labels >= 0]
            num_masked += len(labels)
            masked_bp += int(self.plan.vocabulary.token_bp[labels].sum())
            num_tokens += int((part.input_ids_BL != self.plan.vocabulary.pad).sum())
            micro.append(part)
        return StepBatch(step, micro, num_masked, masked_bp, num_tokens)

    def _micro_batch(self, numbers: range, step: int) -> MicroBatch:
        samples = [Sample(self.purpose, self.seed, number) for number in numbers]
        rows = [
            self.plan.row(self._row_of_sample(sample.number), sample, self.dropout)
            for sample in samples
        ]
        ids_BL = np.stack([row.ids_L for row in rows])
        documents = [row.document_L for row in rows if row.document_L is not None]
        document_BL = np.stack(documents) if documents else None
        if self._masker is None:
            shown_BL, slots = ids_BL, ask_next(ids_BL, document_BL, self._asked_V)
        else:
            shown_BL, slots = self._mask(self._masker, rows, samples, step)
        return MicroBatch(
            torch.from_numpy(shown_BL),
            None if document_BL is None else torch.from_numpy(document_BL),
            torch.from_numpy(slots.index_M),
            torch.from_numpy(slots.labels_M),
        )

    def _mask(
        self, masker: Masker, rows: list[Row], samples: list[Sample], step: int
    ) -> tuple[NDArray[np.int64], Slots]:
        """Return what is shown of the rows, int64, (B, L), and what is asked."""
        rate = masker.config.rate_at(step)
        masked = [
            masker.mask(
                row.ids_L, CounterRng("mask", *sample), rate=rate, document_L=row.document_L
            )
            for row, sample in zip(rows, samples, strict=True)
        ]
        ids_BL = np.stack([row.ids_L for row in rows])
        # The number of slots changes with the rate, and with it a shape: each rate of the schedule
        # is compiled for once.
        num_slots = masker.num_slots(ids_BL.size, rate)
        slots = fill_slots(ids_BL, [row.hidden_K for row in masked], num_slots)
        return np.stack([row.shown_L for row in masked]), slots
