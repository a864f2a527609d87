"""A pretrained model beside what it must beat, on one task, over several seeds.

Comes in: a model and the files of a task. Goes out: one table with the scores of the majority
class, k-mer logistic regression, the same model from scratch and the pretrained model, and a
table of intervals, also for the leads of the pretrained model over the others. One folder holds
all; each training run has its own inside and is not repeated when the comparison is called again.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from helixlm.errors import InputError, StateError
from helixlm.inference import LoadedModel, load, resolve_device
from helixlm.tasks.baselines import fit_kmer, majority
from helixlm.tasks.config import FinetuneConfig
from helixlm.tasks.data import LabelledSequences, Task, read_task
from helixlm.tasks.finetune import Progress, finetune, model_label, result_rows, task_name
from helixlm.tasks.metrics import METRICS, bootstrap_intervals, score
from helixlm.tasks.outputs import write_predictions
from helixlm.tasks.table import IntervalRow, ResultRow, write_table

Method = Literal["majority", "kmer", "scratch", "pretrained"]
METHODS: tuple[Method, ...] = get_args(Method)
TRAINED: tuple[Method, ...] = ("scratch", "pretrained")
"""Methods that are trained anew for every seed."""
LEVEL = 0.95
RESAMPLES = 2000
_OURS = re.compile(
    r"(results|intervals)\.(csv|parquet)|majority|kmer|(scratch|pretrained)-seed-?\d+"
)


class Comparison(NamedTuple):
    """What came out of `compare`."""

    rows: list[ResultRow]
    """Every score, as in `results.csv`."""
    intervals: list[IntervalRow]
    """Test scores over all seeds and leads of the pretrained model, as in `intervals.csv`."""
    output: Path
    num_rows: dict[str, int]
    """Rows of train, dev and test."""


def compare(
    model: LoadedModel | str | Path,
    *,
    train: str | Path | LabelledSequences,
    test: str | Path | LabelledSequences,
    output: str | Path,
    dev: str | Path | LabelledSequences | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    config: FinetuneConfig | None = None,
    methods: Sequence[Method] = METHODS,
    suite: str = "",
    task: str | None = None,
    model_name: str | None = None,
    device: str | torch.device | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Score several methods on one task, each on the same rows.

    Parameters
    ----------
    model : LoadedModel, str or Path
        A pretrained model, or what `helixlm.load` takes.
    train, dev, test : str, Path or LabelledSequences
        As in `finetune`; test is needed here.
    output : str or Path
        Folder to write: `results.csv` and `.parquet`, `intervals.csv` and `.parquet`, and for every
        run a folder such as `pretrained-seed0`. What is finished there is read back.
    seeds : sequence of int
        Training seeds of scratch and pretrained; the two baselines draw nothing and run once.
    config : FinetuneConfig, optional
        Settings of the training runs; by default TinyDNABERT's.
    methods : sequence of {"majority", "kmer", "scratch", "pretrained"}
        What to run, in this order in the tables.
    suite, task, model_name, device
        As in `finetune`.
    progress : callable, optional
        Called with (training steps done, in all), over all runs.

    Returns
    -------
    Comparison
        Rows, intervals and where they are.

    Raises
    ------
    InputError
        If a method or a seed is given twice or is not known, or as `finetune`.
    StateError
        If `output` holds something else, or as `finetune`.

    Notes
    -----
    Intervals are percentile bootstraps over test rows and training seeds, see
    `helixlm.tasks.metrics.bootstrap_intervals`: 2,000 resamples, 95 %.
    """
    _check_choices("method", methods, METHODS)
    _check_choices("seed", seeds, seeds)
    device = resolve_device(device)
    loaded = model if isinstance(model, LoadedModel) else load(model)
    config = config or FinetuneConfig()
    data = read_task(train, dev, test, dev_fraction=config.dev_fraction, dev_seed=config.dev_seed)
    assert data.test is not None, "a comparison needs a test file"
    folder = Path(output)
    _check_folder(folder)
    task = task or task_name(data.train.path)
    name = model_name or model_label(loaded.path)
    runs = [(method, seed) for method in methods if method in TRAINED for seed in seeds]
    rows: list[ResultRow] = []
    layers: dict[Method, list[NDArray[np.float32]]] = {method: [] for method in methods}
    for method in methods:
        if method not in TRAINED:
            found_NC, new = _baseline(method, data, suite, task)
            write_predictions(folder / method / "predictions.csv", data.test, found_NC)
            layers[method].append(found_NC)
            rows += new
            continue
        for seed in seeds:
            result = finetune(
                loaded,
                train=data.train,
                dev=data.dev,
                test=data.test,
                output=folder / f"{method}-seed{seed}",
                config=config,
                method="scratch" if method == "scratch" else "pretrained",
                seed=seed,
                suite=suite,
                task=task,
                model_name=name,
                device=device,
                progress=_shifted(progress, runs.index((method, seed)), len(runs), config),
            )
            assert result.test_probabilities_NC is not None, "test was given"
            layers[method].append(result.test_probabilities_NC)
            rows += result.rows
    stacked = {method: np.stack(found) for method, found in layers.items()}
    intervals = _intervals(data.test.labels, stacked, suite=suite, task=task, model=name)
    write_table(rows, folder)
    write_table(intervals, folder, "intervals")
    num_rows = {split: len(part.labels) for split, part in data._asdict().items()}
    return Comparison(rows, intervals, folder, num_rows)


def _shifted(
    progress: Progress | None, number: int, count: int, config: FinetuneConfig
) -> Progress | None:
    """Return what tells `progress` of the steps of one run among several."""
    if progress is None:
        return None
    steps = config.max_steps
    return lambda step, _: progress(number * steps + step, count * steps)


def _baseline(
    method: Method, data: Task, suite: str, task: str
) -> tuple[NDArray[np.float32], list[ResultRow]]:
    """Fit a baseline; return its test probabilities, float32 (N, C), and its rows."""
    assert data.test is not None, "no test file"
    if method == "majority":
        dev_NC = majority(data.train, len(data.dev.labels)).astype(np.float32)
        test_NC = majority(data.train, len(data.test.labels)).astype(np.float32)
        protocol = "class frequencies of train"
    else:
        kmer = fit_kmer(data.train, data.dev)
        dev_NC = kmer.predict(data.dev.sequences).astype(np.float32)
        test_NC = kmer.predict(data.test.sequences).astype(np.float32)
        protocol = (
            f"logistic regression on k-mer counts, k and C chosen by dev MCC: k = {kmer.k_bp}, "
            f"C = {kmer.strength:g}, test scored once"
        )
    scores = {"dev": score(data.dev.labels, dev_NC), "test": score(data.test.labels, test_NC)}
    row = ResultRow(suite, task, method, method, None, None, "", "", 0.0, protocol)
    return test_NC, result_rows(scores, row)


def _intervals(
    labels_N: NDArray[np.int64],
    layers: dict[Method, NDArray[np.float32]],
    *,
    suite: str,
    task: str,
    model: str,
) -> list[IntervalRow]:
    """Estimate every method, and the lead of the pretrained model over every other."""
    pairs: list[tuple[Method, Method | None]] = [(method, None) for method in layers]
    if "pretrained" in layers:
        pairs += [("pretrained", other) for other in layers if other != "pretrained"]
    rows = []
    for method, other in pairs:
        estimates = bootstrap_intervals(
            labels_N,
            layers[method],
            against_SNC=None if other is None else layers[other],
            level=LEVEL,
            resamples=RESAMPLES,
        )
        for metric in METRICS:
            estimate = getattr(estimates, metric)
            rows.append(
                IntervalRow(
                    suite=suite,
                    task=task,
                    model=model,
                    method=method if other is None else f"{method} - {other}",
                    num_seeds=len(layers[method]),
                    split="test",
                    metric=metric,
                    value=estimate.value,
                    low=estimate.low,
                    high=estimate.high,
                    level=LEVEL,
                    resamples=RESAMPLES,
                )
            )
    return rows


def _check_folder(folder: Path) -> None:
    """Raise StateError if a folder holds what no comparison wrote."""
    if folder.exists() and not folder.is_dir():
        raise StateError(f"{folder}: is a file, expected a folder to write: choose another name")
    for path in sorted(folder.iterdir()) if folder.exists() else ():
        if not (path.name.startswith(".") or _OURS.fullmatch(path.name)):
            raise StateError(
                f"{folder}: holds {path.name!r}, which no comparison wrote: choose another folder"
            )


def _check_choices(noun: str, found: Sequence[object], known: Sequence[object]) -> None:
    """Raise InputError unless choices are known, different, and at least one."""
    if not found:
        raise InputError(f"no {noun} is given: expected at least one")
    for i, choice in enumerate(found):
        if choice not in known:
            expected = ", ".join(map(str, known))
            raise InputError(f"{noun} {choice!r} is not known: expected some of {expected}")
        if choice in found[:i]:
            raise InputError(f"{noun} {choice!r} is given twice: expected each once")
