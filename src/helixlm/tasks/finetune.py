"""Fine-tuning of a sequence classifier, from a pretrained model or from scratch.

Comes in: a model, the files of a task, settings, a seed. Goes out: the classifier that did best on
dev, its scores on dev and (once) on test, and a folder with all of it. Reading belongs to
`data.py`, batches to `order.py`, scores to `metrics.py`; `compare.py` runs several of these.

Every step is a function of weights, moments and (seed, step), so the same call gives the same
weights on the same machine, and a run that was stopped goes on from its last save as if it had not
been. Saves are made at evaluations, a minute apart or more: what is stopped before begins anew.

Shape letters: B rows of a batch, N examples, C classes.
"""

import hashlib
import logging
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from helixlm.inference import LoadedModel, classify, encode_rows, load
from helixlm.inference.device import resolve_device
from helixlm.inference.rows import to_batch
from helixlm.models.heads import SequenceClassifier
from helixlm.models.init import initialise
from helixlm.rng import CounterRng
from helixlm.tasks.config import FinetuneConfig
from helixlm.tasks.data import LabelledSequences, Task, read_task
from helixlm.tasks.metrics import METRICS, Scores, score
from helixlm.tasks.order import BatchOrder
from helixlm.tasks.outputs import (
    STATE_FILE,
    FinetuneResult,
    claim_folder,
    finite_scores,
    read_result,
    write_result,
)
from helixlm.tasks.state import load_state, save_state
from helixlm.tasks.table import ResultRow
from helixlm.train.loop import NonFiniteError
from helixlm.train.metrics import MetricsLog
from helixlm.train.optim import build_optimizer, learning_rate, set_learning_rate
from helixlm.version import __version__

__all__ = ["FinetuneConfig", "FinetuneResult", "NonFiniteError", "finetune"]

logger = logging.getLogger(__name__)

Method = Literal["pretrained", "scratch"]
Progress = Callable[[int, int | None], None]

SAVE_SECONDS = 60.0
"""Least time between saves of the state of an unfinished run; short runs make none."""


def finetune(
    model: LoadedModel | str | Path,
    *,
    train: str | Path | LabelledSequences,
    dev: str | Path | LabelledSequences | None = None,
    test: str | Path | LabelledSequences | None = None,
    output: str | Path | None = None,
    config: FinetuneConfig | None = None,
    method: Method = "pretrained",
    seed: int = 0,
    suite: str = "",
    task: str | None = None,
    model_name: str | None = None,
    device: str | torch.device | None = None,
    progress: Progress | None = None,
) -> FinetuneResult:
    """Train a sequence classifier and score it.

    All weights are trained. Dev is scored every `eval_every` steps and at the end; the weights
    with the highest MCC (of equals, the lowest loss) are kept, and test is scored once, with these.

    Parameters
    ----------
    model : LoadedModel, str or Path
        A pretrained model, or what `helixlm.load` takes. Not changed.
    train, dev, test : str, Path or LabelledSequences
        Tables with the columns `sequence` and `label`. Without dev, a share of train is set aside.
        Without test, nothing is scored but dev.
    output : str or Path, optional
        Folder to write: `model/` (with the tokenizer; transformers loads it), `results.csv` and
        `.parquet`, `predictions.csv` (test), `metrics.jsonl`, `finetune.json` (settings) and
        `summary.json` (last). If it holds this very run, a finished one is read back, and an
        unfinished one goes on from its last save, if there is one, or begins anew.
    config : FinetuneConfig, optional
        Settings; by default TinyDNABERT's.
    method : {"pretrained", "scratch"}
        Begin with the encoder of `model`, or with fresh weights in the same shape and tokenizer.
        The fresh classification head is the same for both.
    seed : int
        Seed of fresh weights, order of the batches, and dropout.
    suite, task, model_name : str, optional
        How to name them in the table; by default nothing, the training file and the model's folder.
    device : str or torch.device, optional
        Where to train; by default CUDA if there is one.
    progress : callable, optional
        Called with (steps done, steps in all).

    Returns
    -------
    FinetuneResult
        Classifier and scores.

    Raises
    ------
    InputError
        If model, files or device are not what they must be.
    StateError
        If `output` holds something else, or cannot be written.
    NonFiniteError
        If loss or gradient are not finite; nothing that was written is lost.
    """
    where = resolve_device(device)
    loaded = model if isinstance(model, LoadedModel) else load(model)
    config = config or FinetuneConfig()
    data = read_task(train, dev, test, dev_fraction=config.dev_fraction, dev_seed=config.dev_seed)
    names = {
        "suite": suite,
        "task": task or task_name(data.train.path),
        "model": model_name or model_label(loaded.path),
    }
    settings = {
        "helixlm_version": __version__,
        **names,
        "method": method,
        "seed": seed,
        "config": config.model_dump(mode="json"),
        "labels": list(data.train.label_names),
        "model_sha256": _weights_sha256(loaded.model.encoder),
        "tokenizer_sha256": loaded.tokenizer.sha256,
        **{
            f"{split}_sha256": None if part is None else part.fingerprint()
            for split, part in data._asdict().items()
        },
    }
    folder = None if output is None else Path(output)
    if folder is not None and claim_folder(folder, settings):
        return read_result(folder, data)
    with torch.random.fork_rng([where] if where.type == "cuda" else []):
        run = _Run(loaded, data, config, method, seed, folder, where)
        seconds = run.train(progress)
    classifier = run.best_model(folder)
    test_NC = None
    test_scores = None
    if data.test is not None:
        test_NC = classify(classifier, run.rows[2], batch_size=run.eval_batch, device=run.device)
        test_scores = score(data.test.labels, test_NC)
    protocol = (
        f"{'full fine-tuning' if method == 'pretrained' else 'training from scratch'}, "
        f"{config.max_steps} steps of {config.batch_size}, best of {run.num_evaluations} "
        f"evaluations by dev MCC, test scored once"
    )
    rows = result_rows(
        {"dev": run.best_dev, "test": test_scores},
        ResultRow(
            **names, method=method, seed=seed, lr=config.lr, split="", metric="", value=0.0,
            protocol=protocol,
        ),
    )  # fmt: skip
    result = FinetuneResult(
        classifier, run.best_step, run.best_dev, test_scores, test_NC, rows, folder
    )
    if folder is not None:
        write_result(result, data, seconds)
    return result


def result_rows(scores: Mapping[str, Scores[float] | None], row: ResultRow) -> list[ResultRow]:
    """Return one row for every score of every split, otherwise like `row`."""
    return [
        row._replace(split=split, metric=metric, value=getattr(found, metric))
        for split, found in scores.items()
        if found is not None
        for metric in METRICS
    ]


def task_name(path: Path) -> str:
    """Return what a task is called after its training file.

    Examples
    --------
    >>> task_name(Path("gue/prom_core_tata/train.csv.gz")), task_name(Path("splice.csv"))
    ('prom_core_tata', 'splice')
    """
    stem = path.name.split(".")[0]
    return path.resolve().parent.name if stem == "train" else stem


def model_label(folder: Path) -> str:
    """Return what a model is called after its folder: that of the run for `RUN/model`."""
    folder = folder.resolve()
    return folder.parent.name if folder.name == "model" else folder.name


class _Run:
    """A fine-tuning in progress."""

    def __init__(
        self,
        loaded: LoadedModel,
        data: Task,
        config: FinetuneConfig,
        method: Method,
        seed: int,
        folder: Path | None,
        device: torch.device,
    ) -> None:
        self.config, self.seed, self.folder, self.device = config, seed, folder, device
        self.eval_batch = 2 * config.batch_size
        self.labels = data.train.label_names
        encoder_config = loaded.model.config
        if config.dropout is not None:
            rates = {"hidden_dropout": config.dropout, "attention_dropout": config.dropout}
            encoder_config = encoder_config.model_copy(update=rates)
        model = SequenceClassifier(encoder_config, len(self.labels), labels=self.labels)
        generator = torch.Generator().manual_seed(_seed("finetune-weights", seed))
        # The head first, so that both methods draw the same one.
        initialise(model.head, encoder_config, generator)
        initialise(model.encoder, encoder_config, generator, loaded.tokenizer.tokens)
        if method == "pretrained":
            model.encoder.load_state_dict(loaded.model.encoder.state_dict())
        self.model = model.to(device)
        self.loaded = LoadedModel(model, loaded.tokenizer, "classifier", self.labels, loaded.path)
        self.rows = [self._encode(part) for part in data]
        self.data = data
        self.order = BatchOrder(
            [len(row) for row in self.rows[0]], batch_size=config.batch_size, seed=seed
        )
        self.optimizer = build_optimizer(
            model,
            lr=config.lr,
            betas=config.betas,
            eps=config.eps,
            weight_decay=config.weight_decay,
        )
        self.step, self.best_step, self.num_evaluations, self.seconds = 0, 0, 0, 0.0
        self.best_dev: Scores[float] = Scores(-math.inf, 0.0, 0.0, 0.0)
        self.best_loss = math.inf
        self.best_state: dict[str, torch.Tensor] = {}
        self.window_loss, self.window_steps = 0.0, 0

    def _encode(self, part: LabelledSequences | None) -> list[NDArray[np.int32]]:
        if part is None:
            return []
        rows, num_cut = encode_rows(
            self.loaded,
            part.sequences,
            [f"{part.path}:{line}" for line in part.lines.tolist()],
            max_tokens=self.config.max_tokens,
            truncate=self.config.truncate,
        )
        if num_cut:
            logger.warning(
                "%s: %d of %d sequences were cut to %d tokens",
                part.path,
                num_cut,
                len(rows),
                max(len(row) for row in rows),
            )
        return rows

    def train(self, progress: Progress | None) -> float:
        """Take all steps that are left; return the seconds spent in the loop, over all calls."""
        config = self.config
        log = None
        if self.folder is not None:
            self._resume(self.folder)
            log = MetricsLog(self.folder / "metrics.jsonl", step=self.step)
        labels_N = torch.from_numpy(self.data.train.labels)
        last_save = time.monotonic()
        while self.step < config.max_steps:
            begin = time.perf_counter()
            record = self._train_step(labels_N)
            self.seconds += time.perf_counter() - begin
            last = self.step == config.max_steps
            if log is not None and (last or self.step % config.log_every == 0):
                log.append(record | {"loss": self.window_loss / self.window_steps})
            if last or self.step % config.log_every == 0:
                self.window_loss, self.window_steps = 0.0, 0
            if last or self.step % config.eval_every == 0:
                found = self._evaluate()
                if log is not None:
                    log.append(found)
                    if not last and time.monotonic() - last_save >= SAVE_SECONDS:
                        self._save(log.path.parent)
                        last_save = time.monotonic()
            if progress:
                progress(self.step, config.max_steps)
        return self.seconds

    def _train_step(self, labels_N: torch.Tensor) -> dict[str, Any]:
        """Take one optimiser step and return its record."""
        config = self.config
        rate = learning_rate(
            self.step,
            peak=config.lr,
            warmup_steps=config.warmup_steps,
            total_steps=config.max_steps,
            schedule=config.schedule,
        )
        set_learning_rate(self.optimizer, rate)
        index = self.order.rows(self.step)
        ids_BL, mask_BL = to_batch(self.loaded, [self.rows[0][i] for i in index], self.device)
        labels_B = labels_N[torch.from_numpy(index)].to(self.device)
        self.model.train()
        torch.manual_seed(_seed("finetune-dropout", self.seed, self.step))
        with torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=config.precision == "bf16"
        ):
            logits_BC = self.model(ids_BL, attention_mask_BL=mask_BL)
        loss = F.cross_entropy(logits_BC.float(), labels_B)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), config.clip_norm)
        loss_value, norm_value = float(loss.detach()), float(norm)
        if not (math.isfinite(loss_value) and math.isfinite(norm_value)):
            raise NonFiniteError(
                f"step {self.step + 1}: the loss is {loss_value} and the gradient norm "
                f"{norm_value}, expected finite numbers. Training stopped before the update, at a "
                f"learning rate of {rate:g}. Lower lr, lengthen warmup_steps, or use float32"
            )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.window_loss += loss_value
        self.window_steps += 1
        return {
            "kind": "train",
            "step": self.step,
            "loss": loss_value,
            "lr": rate,
            "grad_norm": norm_value,
            "epoch": self.step / self.order.batches_per_epoch,
            "seconds": self.seconds,
        }

    def _evaluate(self) -> dict[str, Any]:
        """Score dev and keep the weights if they are the best so far."""
        labels_N = self.data.dev.labels
        found_NC = classify(self.loaded, self.rows[1], batch_size=self.eval_batch)
        scores = score(labels_N, found_NC)
        true_N = found_NC[np.arange(len(labels_N)), labels_N].astype(np.float64)
        loss = -float(np.log(np.maximum(true_N, 1e-30)).mean())
        self.num_evaluations += 1
        if (scores.mcc, -loss) > (self.best_dev.mcc, -self.best_loss):
            self.best_dev, self.best_loss, self.best_step = scores, loss, self.step
            self.best_state = {
                name: tensor.detach().cpu().clone()
                for name, tensor in self.model.state_dict().items()
            }
        logger.info("step %d: dev loss %.4f, MCC %.4f", self.step, loss, scores.mcc)
        return {"kind": "dev", "step": self.step, "loss": loss, **finite_scores(scores)}

    def best_model(self, folder: Path | None) -> LoadedModel:
        """Return the weights that did best on dev, in a model on the CPU."""
        self.model.load_state_dict(self.best_state)
        self.model.to("cpu").eval()
        return self.loaded if folder is None else self.loaded._replace(path=folder / "model")

    def _save(self, folder: Path) -> None:
        record = {
            "step": self.step,
            "best_step": self.best_step,
            "best_dev": list(self.best_dev),
            "best_loss": self.best_loss,
            "num_evaluations": self.num_evaluations,
            "seconds": self.seconds,
            "window": [self.window_loss, self.window_steps],
        }
        save_state(folder / STATE_FILE, self.model, self.optimizer, self.best_state, record)

    def _resume(self, folder: Path) -> None:
        path = folder / STATE_FILE
        if not path.exists():
            return
        record, self.best_state = load_state(path, self.model, self.optimizer)
        self.step, self.best_step = record["step"], record["best_step"]
        self.best_dev, self.best_loss = Scores(*record["best_dev"]), record["best_loss"]
        self.num_evaluations, self.seconds = record["num_evaluations"], record["seconds"]
        self.window_loss, self.window_steps = record["window"]
        logger.info("resuming at step %d of %d", self.step, self.config.max_steps)


def _seed(*key: str | int) -> int:
    """Return a seed for PyTorch from a key: 63 bits, not negative."""
    return int(CounterRng(*key).words(1)[0] >> 1)


def _weights_sha256(module: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
