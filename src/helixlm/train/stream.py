"""The batches of a run: rows in the order of the epoch, masked, as a pure function of (seed, step).

Comes in: a `Plan` of rows, perhaps others for the first steps, and how to mask. Goes out: for each
step the micro-batches of one device, of fixed shapes and ready for the model.

Shape letters: B rows of a micro-batch, L tokens in a row, M slots for masked tokens, V vocabulary.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from helixlm.errors import InputError
from helixlm.rng import CounterRng
from helixlm.tokenizers.bpe_dropout import RowDropout
from helixlm.train.batches import MicroBatch, Plan, Row, Sample, Stage, StepBatch
from helixlm.train.masking import Masker, MaskingConfig
from helixlm.train.slots import Slots, ask_next, fill_slots


class _Phase(NamedTuple):
    """Steps of the stream whose rows come from one plan."""

    number: int
    plan: Plan
    first_step: int
    first_sample: int
    """Samples of the phases before it."""
    micro_rows: int


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
    stages : sequence of Stage
        Other plans for the first steps. Each begins an epoch of its own; its `micro_rows` are
        larger by what its rows are more.

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
        stages: Sequence[Stage] = (),
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
        self.vocabulary = plan.vocabulary
        self.dropout = dropout
        self.seed = seed
        self.rank, self.world_size = rank, world_size
        self.purpose = purpose
        self._phases = _lay_phases(plan, stages, micro_rows)
        self._masker = None if masking is None else Masker(masking, plan.vocabulary)
        self._asked_V = ~np.isin(np.arange(plan.vocabulary.size), plan.vocabulary.special)
        self._order: tuple[tuple[int, int], NDArray[np.int64]] | None = None

    @property
    def num_shapes(self) -> int:
        """How many shapes the batches have at most: lengths of rows times masking rates."""
        lengths = 0
        for phase in self._phases:
            multiple = phase.plan.config.pad_multiple
            row_tokens = phase.plan.config.row_tokens
            lengths += 1 if multiple is None else -(-row_tokens // multiple)
        changes = () if self._masker is None else self._masker.config.rate_changes
        return lengths * (1 + len(changes))

    def epochs(self, step: int) -> float:
        """Return how often the rows were gone through before a step, in all phases together."""
        ends = [phase.first_step for phase in self._phases[1:]] + [step]
        return sum(
            max(0, min(step, end) - phase.first_step) * phase.plan.config.rows / phase.plan.num_rows
            for phase, end in zip(self._phases, ends, strict=True)
        )

    def _row_of_sample(self, sample: int) -> int:
        """Return the row of the global sample number: epochs follow each other without a seam."""
        phase = next(x for x in reversed(self._phases) if x.first_sample <= sample)
        plan = phase.plan
        epoch, nth = divmod(sample - phase.first_sample, plan.num_rows)
        if self._order is None or self._order[0] != (phase.number, epoch):
            stage = (phase.number,) if phase.number else ()
            rng = CounterRng("rows", self.purpose, self.seed, epoch, *stage)
            self._order = ((phase.number, epoch), _order_rows(plan, rng))
        return int(self._order[1][nth])

    def __getitem__(self, step: int) -> StepBatch:
        phase = next(x for x in reversed(self._phases) if x.first_step <= step)
        rows = phase.plan.config.rows
        share = rows // self.world_size
        first = phase.first_sample + (step - phase.first_step) * rows + self.rank * share
        micro, num_masked, num_tokens = [], 0, 0
        weight = masked_bp = 0.0
        for begin in range(first, first + share, phase.micro_rows):
            numbers = range(begin, begin + phase.micro_rows)
            part = self._micro_batch(numbers, phase.plan, step)
            used_M = part.labels_M.numpy() >= 0
            labels = part.labels_M.numpy()[used_M]
            weights = np.ones(len(labels))
            if part.weight_M is not None:
                weights = part.weight_M.numpy()[used_M].astype(np.float64)
            num_masked += len(labels)
            weight += float(weights.sum())
            masked_bp += float(self.vocabulary.token_bp[labels] @ weights)
            num_tokens += int((part.input_ids_BL != self.vocabulary.pad).sum())
            micro.append(part)
        return StepBatch(step, micro, num_masked, weight, masked_bp, num_tokens)

    def _micro_batch(self, numbers: range, plan: Plan, step: int) -> MicroBatch:
        samples = [Sample(self.purpose, self.seed, number) for number in numbers]
        rows = [
            plan.row(self._row_of_sample(sample.number), sample, self.dropout) for sample in samples
        ]
        shown_BL = np.stack([row.ids_L for row in rows])
        hidden: list[NDArray[np.int64]] = []
        if self._masker is not None:
            shown_BL, hidden = self._mask(self._masker, rows, samples, step)
        if plan.config.pad_multiple is not None:
            rows = _trim(rows, plan.config.pad_multiple)
            shown_BL = shown_BL[:, : len(rows[0].ids_L)]
        ids_BL = np.stack([row.ids_L for row in rows])
        documents = [row.document_L for row in rows if row.document_L is not None]
        document_BL = np.stack(documents) if documents else None
        if self._masker is None:
            slots = ask_next(ids_BL, document_BL, self._asked_V)
        else:
            # The number of slots changes with the rate, and with it a shape: each rate of the
            # schedule is compiled for once.
            rate = self._masker.config.rate_at(step)
            slots = fill_slots(ids_BL, hidden, self._masker.num_slots(ids_BL.size, rate))
        return MicroBatch(
            torch.from_numpy(np.ascontiguousarray(shown_BL)),
            None if document_BL is None else torch.from_numpy(document_BL),
            torch.from_numpy(slots.index_M),
            torch.from_numpy(slots.labels_M),
            self._weigh(rows, slots, plan.config.softmask_weight),
        )

    def _mask(
        self, masker: Masker, rows: list[Row], samples: list[Sample], step: int
    ) -> tuple[NDArray[np.int64], list[NDArray[np.int64]]]:
        """Return what is shown of the rows, int64, (B, L), and what is hidden in each."""
        rate = masker.config.rate_at(step)
        masked = [
            masker.mask(
                row.ids_L, CounterRng("mask", *sample), rate=rate, document_L=row.document_L
            )
            for row, sample in zip(rows, samples, strict=True)
        ]
        return np.stack([row.shown_L for row in masked]), [row.hidden_K for row in masked]

    def _weigh(self, rows: list[Row], slots: Slots, softmask_weight: float) -> torch.Tensor | None:
        """Return the weight of each slot's loss, float32, (M,); None if all count alike."""
        soft = [row.soft_L for row in rows if row.soft_L is not None]
        if not soft:
            return None
        # Where the next token is asked, the label lies one behind the position that predicts.
        asked = slots.index_M + (self._masker is None)
        weight_M = np.where(np.stack(soft).ravel()[asked], softmask_weight, 1.0)
        return torch.from_numpy(np.where(slots.labels_M >= 0, weight_M, 0.0).astype(np.float32))


def _lay_phases(plan: Plan, stages: Sequence[Stage], micro_rows: int) -> list[_Phase]:
    """Lay the stages one after the other, and the plan behind them."""
    phases = []
    step = sample = 0
    for number, stage in enumerate((*stages, Stage(plan, 0))):
        rows = stage.plan.config.rows
        assert rows % plan.config.rows == 0, "at_stage multiplies rows"
        micro = micro_rows * (rows // plan.config.rows)
        phases.append(_Phase(number, stage.plan, step, sample, micro))
        step += stage.steps
        sample += stage.steps * rows
    return phases


def _order_rows(plan: Plan, rng: CounterRng) -> NDArray[np.int64]:
    """Return the order of the rows in an epoch."""
    order = rng.permutation(plan.num_rows)
    if plan.config.order == "random":
        return order
    # Stable sorts: rows with as many tokens keep their random order.
    order = order[np.argsort(plan.tokens_of_rows()[order], kind="stable")]
    if plan.species is None:
        return order
    return order[np.argsort(plan.species[order], kind="stable")]


def _trim(rows: list[Row], multiple: int) -> list[Row]:
    """Cut rows behind the longest of them, at a multiple of so many tokens."""
    longest = 0
    for row in rows:
        assert row.document_L is not None, "rows that end early have padding"
        longest = max(longest, int(np.count_nonzero(row.document_L)))
    stop = min(len(rows[0].ids_L), -(-longest // multiple) * multiple)
    return [
        Row(
            row.ids_L[:stop],
            None if row.document_L is None else row.document_L[:stop],
            None if row.soft_L is None else row.soft_L[:stop],
        )
        for row in rows
    ]
