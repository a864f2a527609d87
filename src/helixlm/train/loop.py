"""The training loop: plain PyTorch, one step readable from top to bottom.

Comes in: a model, a plan of training and of validation rows, settings, a folder. Goes out:
checkpoints and metrics.jsonl. `fit` prepares; `_train_step` is the step. Accelerate places the
model and speaks to other processes and trackers; the numbers are made here.

Every step is a function of weights, moments and (seed, step): batches and masks come from
`TrainingStream`, dropout is seeded from the step. So a run that was killed and resumed writes
the same losses and the same weights as one that was not.
"""

import contextlib
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from numpy.typing import NDArray
from torch import nn

from helixlm.errors import StateError, require
from helixlm.models.encoder import compile_layers
from helixlm.models.heads import LanguageModel
from helixlm.rng import CounterRng
from helixlm.tokenizers.bpe_dropout import RowDropout
from helixlm.train.baselines import counting_baselines, standard_error
from helixlm.train.batches import Plan, Stage, StepBatch
from helixlm.train.checkpoint import (
    Checkpoint,
    checkpoint_name,
    latest_checkpoint,
    load_checkpoint,
    refuse_other_identity,
    remove_old,
    save_checkpoint,
)
from helixlm.train.config import TrainConfig
from helixlm.train.counts import StepCounts, StepSums, count_step
from helixlm.train.loss import masked_loss
from helixlm.train.masking import MaskingConfig
from helixlm.train.metrics import MetricsLog
from helixlm.train.optim import build_optimizer, learning_rate, set_learning_rate
from helixlm.train.result import TrainingResult
from helixlm.train.signals import StopSignal, leave_signals_to_the_loop
from helixlm.train.stream import TrainingStream
from helixlm.train.throughput import Peak
from helixlm.train.validation import score, sum_losses, validation_batches

logger = logging.getLogger(__name__)

Progress = Callable[[int, int, dict[str, Any]], None]
"""Called as progress(steps done, steps in all, newest metrics) after every step."""


class NonFiniteError(StateError):
    """The loss or the gradient is not a number: training stopped before the update."""


def seed_of_pass(seed: int, step: int, micro: int, rank: int) -> int:
    """Return the seed of dropout in one forward pass."""
    return int(CounterRng("dropout", seed, step, micro, rank).words(1)[0] >> 1)


def _why_none_masked(batches: Iterable[StepBatch], special: Sequence[int], rows: str) -> str:
    """Say what to do about batches of which no token is masked: few tokens, or none to mask."""
    ids = [micro.input_ids_BL for batch in batches for micro in batch.micro]
    if any(not np.isin(ids_BL, special).all() for ids_BL in ids):
        return f"raise masking.rate or {rows}"
    return (
        "there are only letters that the tokenizer does not know, such as N, in place of each: "
        "make the corpus without such windows (windows.n=drop, where the kind of windows has it), "
        "or hold out other contigs"
    )


def fit(
    model: LanguageModel,
    *,
    train: Plan,
    validation: Plan,
    masking: MaskingConfig | None,
    config: TrainConfig,
    seed: int,
    output: Path,
    save_tokenizer: Callable[[Path], object],
    identity: dict[str, str],
    stages: Sequence[Stage] = (),
    dropout: RowDropout | None = None,
    start: Checkpoint | None = None,
    others: Mapping[str, Plan] | None = None,
    device: str | None = None,
    progress: Progress | None = None,
) -> TrainingResult:
    """Train a masked language model, from the newest checkpoint in `output` if there is one.

    Parameters
    ----------
    model : MaskedLM or CausalLM
        Freshly initialised; overwritten when the run resumes.
    train, validation : Plan
        Rows of both splits.
    masking : MaskingConfig, optional
        What is hidden, in both; validation has the first rate throughout. None: nothing, and each
        token is asked for the next one.
    config : TrainConfig
        Settings of the loop.
    seed : int
        Seed of row order, drawn windows, masks and both kinds of dropout.
    output : Path
        The run's folder; `checkpoints/` and `metrics.jsonl` are written there.
    save_tokenizer : callable
        Writes the tokenizer's files into a folder.
    identity : dict of str
        Hashes of what the run is made of (recipe, corpus, tokenizer); kept in every checkpoint.
    stages : sequence of Stage
        Other training rows in the first steps.
    dropout : RowDropout, optional
        BPE dropout of the training rows. Validation and the baselines are always without.
    start : Checkpoint, optional
        Of another run, that this one goes on with: its weights, moments and step; whatever it was
        made of. None: step 0.
    others : mapping of str to Plan, optional
        More rows to validate on, by name; they change nothing in training.
    device : str, optional
        "cpu" or "cuda"; by default CUDA if there is one.
    progress : callable, optional
        Called after every step.

    Returns
    -------
    TrainingResult
        Where the run stands. After SIGINT or SIGTERM the step is finished, a checkpoint written,
        and `stopped_by` set.

    Raises
    ------
    NonFiniteError
        If loss or gradient are not finite; the last checkpoint is untouched.
    CheckpointError
        If a checkpoint cannot be written or read.
    StateError
        If the checkpoint belongs to another recipe, corpus or tokenizer, a tracker is not
        installed, or no token of a step was masked.
    """
    for name in config.track:
        require(name, "track")  # Accelerate would leave a missing one out without a word.
    AcceleratorState._reset_state(reset_partial_state=True)
    on_gpu = torch.cuda.is_available() if device is None else device.startswith("cuda")
    if device is not None and torch.device(device).index is not None:
        torch.cuda.set_device(device)  # Accelerate takes the current one.
    accelerator = Accelerator(
        cpu=not on_gpu, log_with=list(config.track) or None, project_dir=output
    )
    run = _Run(
        accelerator,
        model.to(accelerator.device),
        train=train,
        validation=validation,
        masking=masking,
        config=config,
        seed=seed,
        output=output,
        save_tokenizer=save_tokenizer,
        identity=identity,
        stages=stages,
        dropout=dropout,
        start=start,
        others=others or {},
    )
    with torch.random.fork_rng(), StopSignal() as stop:
        run.resume()
        return run.loop(stop, progress)


class _Run:
    """A run in progress: what `fit` sets up, and the loop over it."""

    def __init__(
        self,
        accelerator: Accelerator,
        model: LanguageModel,
        *,
        train: Plan,
        validation: Plan,
        masking: MaskingConfig | None,
        config: TrainConfig,
        seed: int,
        output: Path,
        save_tokenizer: Callable[[Path], object],
        identity: dict[str, str],
        stages: Sequence[Stage],
        dropout: RowDropout | None,
        start: Checkpoint | None,
        others: Mapping[str, Plan],
    ) -> None:
        self.accelerator, self.bare, self.config = accelerator, model, config
        self.seed, self.output, self.identity = seed, output, identity
        self.save_tokenizer = save_tokenizer
        self.optimizer = build_optimizer(
            model,
            lr=config.lr,
            betas=config.betas,
            eps=config.eps,
            weight_decay=config.weight_decay,
        )
        self.model = accelerator.prepare_model(model)
        rank, world_size = accelerator.process_index, accelerator.num_processes
        self.stream = TrainingStream(
            train,
            masking,
            seed=seed,
            micro_rows=config.micro_rows,
            rank=rank,
            world_size=world_size,
            dropout=dropout,
            stages=stages,
        )
        if config.compile:
            compile_layers(model.encoder.layers, num_shapes=self.stream.num_shapes)
        self.checks, *more = (
            validation_batches(plan, masking, seed=seed, num_rows=config.validation_rows)
            for plan in (validation, *others.values())
        )
        self.others = dict(zip(others, more, strict=True))
        if not sum(batch.num_masked for batch in self.checks):
            raise StateError(
                "validation: no token was masked, so there is nothing to score: "
                + _why_none_masked(self.checks, train.vocabulary.special, "train.validation_rows")
            )
        self.train_plan, self.masking = train, masking
        self.start = start
        self.first_step = 0 if start is None else start.step
        self.step, self.tokens, self.seconds = 0, 0, 0.0
        self.best_step, self.best_loss = 0, math.inf
        self.loss_before = math.nan
        self.window = StepSums()
        self.saved_step: int | None = None

    @property
    def checkpoints(self) -> Path:
        return self.output / "checkpoints"

    def resume(self) -> None:
        """Take up the newest checkpoint, if there is one, and cut metrics.jsonl back to it."""
        found = latest_checkpoint(self.checkpoints)
        if found is None and self.start is not None:
            self._take(self.start)
            logger.info("going on at step %d of another run", self.step)
        if found is not None:
            state = found.state
            refuse_other_identity(found, self.identity)
            self._take(found)
            self.saved_step = found.step
            self.best_step = state["best_step"]
            self.best_loss = math.inf if state["best_loss"] is None else state["best_loss"]
            self.loss_before = state["loss_before"]
            logger.info("resuming at step %d of %d", self.step, self.config.steps)
        kept = None if found is None else found.step
        self.metrics = MetricsLog(self.output / "metrics.jsonl", step=kept)

    def _take(self, checkpoint: Checkpoint) -> None:
        """Put weights, moments and counters of a checkpoint in the place of the present ones."""
        load_checkpoint(checkpoint, self.bare, self.optimizer)
        state = checkpoint.state
        self.step = checkpoint.step
        self.tokens, self.seconds = state["tokens"], state["seconds"]
        self.window = StepSums(**state["window"])

    def save(self) -> None:
        """Write a checkpoint of the present step and remove those that are not kept."""
        if self.saved_step == self.step:
            return
        if self.accelerator.is_main_process:
            save_checkpoint(
                self.checkpoints,
                step=self.step,
                model=self.bare,
                optimizer=self.optimizer,
                state={
                    "identity": self.identity,
                    "seed": self.seed,
                    "tokens": self.tokens,
                    "seconds": self.seconds,
                    "best_step": self.best_step,
                    "best_loss": self.best_loss if math.isfinite(self.best_loss) else None,
                    "loss_before": self.loss_before,
                    "window": self.window._asdict(),
                },
                save_tokenizer=self.save_tokenizer,
            )
            remove_old(
                self.checkpoints,
                newest_step=self.step,
                keep=self.config.keep_checkpoints,
                best_step=self.best_step,
            )
        self.accelerator.wait_for_everyone()
        self.saved_step = self.step

    def batches(self) -> Iterator[StepBatch]:
        """Yield the batches from the present step to the last."""
        workers = self.config.num_workers
        loader = torch.utils.data.DataLoader(
            self.stream,
            batch_size=None,
            sampler=range(self.step, self.config.steps),
            num_workers=workers,
            multiprocessing_context="spawn" if workers else None,
            worker_init_fn=leave_signals_to_the_loop if workers else None,
            prefetch_factor=4 if workers else None,
            pin_memory=self.accelerator.device.type == "cuda",
        )
        return iter(loader)

    def loop(self, stop: StopSignal, progress: Progress | None) -> TrainingResult:
        """Take the steps that are left; log, validate and save on the way."""
        config = self.config
        self.baselines = counting_baselines(
            self.train_plan.counted(),
            self.checks,
            vocabulary=self.train_plan.vocabulary,
            masking=self.masking,
        )
        dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32
        self.peak = Peak(self.accelerator.device, dtype)
        if config.track:
            self.accelerator.init_trackers("helixlm")
        newest: dict[str, Any] = {}
        if self.step == self.first_step:
            self.loss_before = self._validate()["loss"]
        timed: list[tuple[float, float, float]] = []
        started = self.step
        begin = time.perf_counter()
        for batch in self.batches():
            loss, counts, norm, rate = self._train_step(batch)
            took = time.perf_counter() - begin
            self.step += 1
            self.tokens += int(counts.tokens)
            self.seconds += took
            self.window = self.window.add(loss, counts)
            if self.step > started + 1:  # The first step compiles and would hide all others.
                timed.append((took, counts.flops, counts.tokens))
            last = self.step == config.steps
            if last or self.step % config.log_every == 0:
                newest = self._log(self._train_record(rate, norm, timed))
                self.window = StepSums()
                timed.clear()
            if last or self.step % config.validate_every == 0:
                self._validate()
            if progress is not None:
                progress(self.step, config.steps, newest)
            stopping = stop.name is not None  # Asked once: a signal may come while saving.
            best = self.best_step == self.step
            if last or stopping or best or self.step % config.checkpoint_every == 0:
                self.save()
            if stopping:
                break
            begin = time.perf_counter()
        self.accelerator.end_training()
        finished = self.step == config.steps
        chosen = self.best_step if finished else self.step
        return TrainingResult(
            step=self.step,
            finished=finished,
            stopped_by=None if finished else stop.name,
            best_step=self.best_step,
            best_loss=self.best_loss,
            loss_before=self.loss_before,
            checkpoint=self.checkpoints / checkpoint_name(chosen),
            tokens=self.tokens,
            epochs=self.stream.epochs(self.step),
            seconds=self.seconds,
            peak_flops=self.peak.flops,
            baselines=self.baselines,
        )

    def _train_step(self, batch: StepBatch) -> tuple[float, StepCounts, float, float]:
        """Take one optimiser step; return the sum of losses, counts, gradient norm, rate."""
        config, accelerator = self.config, self.accelerator
        rate = learning_rate(
            self.step,
            peak=config.lr,
            warmup_steps=config.warmup_steps,
            total_steps=config.steps,
            schedule=config.schedule,
            initial_fraction=config.initial_fraction,
            final_fraction=config.final_fraction,
        )
        set_learning_rate(self.optimizer, rate)
        counts = self._count(batch)
        if counts.weight == 0:
            raise StateError(
                f"step {self.step + 1}: none of {counts.tokens:.0f} tokens was masked, so there is "
                "nothing to learn from: "
                + _why_none_masked([batch], self.train_plan.vocabulary.special, "batches.rows")
            )
        self.model.train()
        total = torch.zeros((), device=accelerator.device)
        for number, micro in enumerate(batch.micro):
            seed = seed_of_pass(self.seed, self.step, number, accelerator.process_index)
            torch.manual_seed(seed)
            joined = number == len(batch.micro) - 1
            with contextlib.nullcontext() if joined else accelerator.no_sync(self.model):
                loss, _ = masked_loss(
                    self.model,
                    micro.to(accelerator.device),
                    config.precision,
                    torch.tensor(seed),
                )
                # DDP averages gradients over devices; the sum over all masked tokens is wanted.
                (loss * (accelerator.num_processes / counts.weight)).backward()
            total += loss.detach()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), config.clip_norm)
        if accelerator.num_processes > 1:
            total = accelerator.reduce(total)
        loss_sum, norm_value = float(total), float(norm)
        if not (math.isfinite(loss_sum) and math.isfinite(norm_value)):
            saved = "none yet" if self.saved_step is None else f"step {self.saved_step}"
            raise NonFiniteError(
                f"step {self.step + 1}: the loss is {loss_sum / counts.weight} and the gradient "
                f"norm {norm_value}, expected finite numbers. Training stopped before the update; "
                f"last good checkpoint: {saved}. Lower train.lr or lengthen train.warmup_steps, "
                f"then start again in a new folder"
            )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss_sum, counts, norm_value, rate

    def _count(self, batch: StepBatch) -> StepCounts:
        """Count what a step holds, over all devices."""
        own = count_step(batch, self.bare.config)
        if self.accelerator.num_processes == 1:
            return own
        every = torch.tensor(own, dtype=torch.float64, device=self.accelerator.device)
        return StepCounts(*self.accelerator.reduce(every).tolist())

    def _validate(self) -> dict[str, Any]:
        """Score the validation rows, remember the best step, and write what was found."""
        losses_N, correct_N = self._sum_losses(self.checks)
        found = score(self.checks, losses_N, correct_N)
        if self.step > self.first_step and found["loss"] < self.best_loss:
            self.best_step, self.best_loss = self.step, found["loss"]
        record = {"kind": "validation", "step": self.step, **found}
        masked_N = np.array([batch.num_masked for batch in self.checks])
        for name, counted in zip(("unigram", "neighbour"), self.baselines[:2], strict=True):
            record[f"{name}_loss"] = counted.loss
            record[f"{name}_accuracy"] = counted.accuracy
            record[f"{name}_bits_per_base"] = counted.bits_per_base
            record[f"{name}_difference_error"] = standard_error(
                losses_N, np.array(counted.batch_losses), masked_N
            )
        self._log(record)
        for name, checks in self.others.items():
            other = score(checks, *self._sum_losses(checks))
            self._log({"kind": "other", "step": self.step, "name": name, **other})
        return record

    def _sum_losses(self, checks: list[StepBatch]) -> NDArray[np.float64]:
        """Return losses and right predictions of batches, (2, N), from all devices."""
        self.model.eval()
        accelerator = self.accelerator
        sums_N2 = sum_losses(
            self.bare,
            checks,
            accelerator.device,
            self.config.precision,
            rank=accelerator.process_index,
            world_size=accelerator.num_processes,
        )
        if accelerator.num_processes > 1:
            sums_N2 = accelerator.reduce(sums_N2)
        return np.asarray(sums_N2.cpu().numpy().T)

    def _train_record(
        self, rate: float, norm: float, steps: list[tuple[float, float, float]]
    ) -> dict[str, Any]:
        took, devices = sum(step[0] for step in steps), self.accelerator.num_processes
        window = self.window
        return {
            "kind": "train",
            "step": self.step,
            "loss": window.loss / window.weight,
            "bits_per_base": window.loss / math.log(2) / max(1, window.masked_bp),
            "masked_tokens": int(window.masked),
            "padding": 1 - window.tokens / window.places,
            "lr": rate,
            "grad_norm": norm,
            "tokens": self.tokens,
            "tokens_per_second": sum(s[2] for s in steps) / took if took else None,
            "mfu": self.peak.share(sum(s[1] for s in steps) / took / devices) if took else None,
            "seconds": self.seconds,
        }

    def _log(self, record: dict[str, Any]) -> dict[str, Any]:
        """Write a record to metrics.jsonl and to the trackers; return it."""
        if self.accelerator.is_main_process:
            self.metrics.append(record)
        if self.config.track:
            kind = record["kind"]
            values = {
                f"{kind}/{key}": value
                for key, value in record.items()
                if isinstance(value, int | float) and key != "step"
            }
            self.accelerator.log(values, step=record["step"])
        return record
