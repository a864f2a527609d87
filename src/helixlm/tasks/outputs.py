"""The folder of a fine-tuning run: who it belongs to, what is written, how it is read back.

Comes in: settings, then a result. Goes out: files, each whole; `summary.json`, written last, says
that the run is finished. Training belongs to `finetune.py`.
"""

import csv
import json
import logging
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from helixlm.data.folder import refuse_differences, refuse_existing
from helixlm.data.formats.delimited import open_writer
from helixlm.errors import StateError
from helixlm.files import replace_file
from helixlm.inference import LoadedModel, load
from helixlm.inference.files import format_probability
from helixlm.models.hf import save_model
from helixlm.tasks.data import LabelledSequences, Task, count_shared
from helixlm.tasks.metrics import Scores
from helixlm.tasks.table import ResultRow, read_table, write_table

logger = logging.getLogger(__name__)

SETTINGS_FILE = "finetune.json"
SUMMARY_FILE = "summary.json"
STATE_FILE = "state.safetensors"


class FinetuneResult(NamedTuple):
    """A fine-tuned classifier and what it achieves."""

    classifier: LoadedModel
    """The weights that did best on dev, on the CPU."""
    best_step: int
    """Steps that they had been trained for."""
    dev: Scores[float]
    test: Scores[float] | None
    test_probabilities_NC: NDArray[np.float32] | None
    rows: list[ResultRow]
    """The scores as rows of the table of results."""
    output: Path | None
    """The folder that was written."""


def claim_folder(folder: Path, settings: dict[str, Any]) -> bool:
    """Make a folder the one of a run, or find that it is.

    Parameters
    ----------
    folder : Path
        New, empty, or of this very run.
    settings : dict
        What makes the run what it is; written as `finetune.json`.

    Returns
    -------
    bool
        Whether the run is finished.

    Raises
    ------
    StateError
        If the folder holds another run or something else.
    """
    path = folder / SETTINGS_FILE
    if not path.exists():
        refuse_existing(folder)
        with replace_file(path) as temporary:
            temporary.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        return False
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise StateError(
            f"{path}: not JSON ({error}): delete the folder or choose another one"
        ) from error
    flat, wanted = _flat(found), _flat(settings)
    flat.pop("helixlm_version", None)
    wanted.pop("helixlm_version")
    refuse_differences(folder, {key: (flat.get(key), wanted.get(key)) for key in flat | wanted})
    return (folder / SUMMARY_FILE).exists()


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    config = {f"config.{key}": value for key, value in settings.get("config", {}).items()}
    return {key: value for key, value in settings.items() if key != "config"} | config


def write_result(result: FinetuneResult, data: Task, seconds: float) -> None:
    """Write what a finished run leaves, the summary last.

    Parameters
    ----------
    result : FinetuneResult
        With `output`, the folder.
    data : Task
        The examples.
    seconds : float
        Time in the training loop.

    Raises
    ------
    StateError
        If something cannot be written.
    """
    folder, classifier = result.output, result.classifier
    assert folder is not None, "nowhere to write"
    save_model(classifier.model, folder / "model")
    classifier.tokenizer.save(folder / "model", max_tokens=classifier.max_tokens)
    write_table(result.rows, folder)
    shared = None
    if data.test is not None and result.test_probabilities_NC is not None:
        write_predictions(folder / "predictions.csv", data.test, result.test_probabilities_NC)
        shared = count_shared(data.test, data.train)
    summary = {
        "best_step": result.best_step,
        "seconds": seconds,
        "examples": {k: None if v is None else len(v.labels) for k, v in data._asdict().items()},
        "test_sequences_in_train": shared,
        "dev": finite_scores(result.dev),
        "test": None if result.test is None else finite_scores(result.test),
    }
    with replace_file(folder / SUMMARY_FILE) as temporary:
        temporary.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    (folder / STATE_FILE).unlink(missing_ok=True)


def write_predictions(
    path: Path, data: LabelledSequences, probabilities_NC: NDArray[np.float32]
) -> None:
    """Write what a classifier says of labelled sequences.

    Columns: `row` (0-based, in the order of the file), `line` of the file, `label`, `predicted`,
    and `p_LABEL` for each label.
    """
    names = data.label_names
    with open_writer(path) as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["row", "line", "label", "predicted", *(f"p_{name}" for name in names)])
        for row, p_C in enumerate(probabilities_NC):
            label, best = names[int(data.labels[row])], names[int(p_C.argmax())]
            shown = [format_probability(p) for p in p_C.tolist()]
            writer.writerow([row, int(data.lines[row]), label, best, *shown])


def read_predictions(path: Path, label_names: tuple[str, ...]) -> NDArray[np.float32]:
    """Read the probabilities of `write_predictions`, float32, shape (N, C), with the same bits."""
    with path.open(encoding="utf-8", newline="") as text:
        _, *rows = csv.reader(text)
    return np.array([row[-len(label_names) :] for row in rows]).astype(np.float32)


def read_result(folder: Path, data: Task) -> FinetuneResult:
    """Return the result of a finished run from its folder."""
    logger.info("%s: holds this run, finished before: read back", folder)
    summary = json.loads((folder / SUMMARY_FILE).read_text(encoding="utf-8"))
    rows = read_table(folder / "results.parquet")
    scores = {
        split: Scores(**{row.metric: row.value for row in rows if row.split == split})
        for split in {row.split for row in rows}
    }
    names = data.train.label_names
    predictions = None
    if data.test is not None:
        predictions = read_predictions(folder / "predictions.csv", names)
    return FinetuneResult(
        load(folder),
        summary["best_step"],
        scores["dev"],
        scores.get("test"),
        predictions,
        rows,
        folder,
    )


def finite_scores(scores: Scores[float]) -> dict[str, float | None]:
    """Return scores for JSON, which has no NaN."""
    return {k: v if math.isfinite(v) else None for k, v in scores._asdict().items()}
