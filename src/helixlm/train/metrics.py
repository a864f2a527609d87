"""metrics.jsonl: one line per record, cut back to the checkpoint when a run resumes."""

import json
import os
from pathlib import Path
from typing import Any

from helixlm.errors import StateError
from helixlm.files import replace_file


class MetricsLog:
    """Append records to a file of JSON lines.

    Parameters
    ----------
    path : Path
        The file.
    step : int, optional
        Records of later steps are removed first, and so is a line that a kill cut short: the
        steps from there on are taken again. None or 0: all are removed.

    Raises
    ------
    StateError
        If the file holds something else, or cannot be written, such as on a full disk.
    """

    def __init__(self, path: Path, *, step: int | None) -> None:
        self.path = path
        kept = []
        if step:
            kept = [record for record in read_lines(path) if record["step"] <= step]
        try:
            with replace_file(path) as partial:
                partial.write_text("".join(json.dumps(record) + "\n" for record in kept))
        except StateError as error:
            raise _not_written(path, step or 0, error.__cause__) from error

    def append(self, record: dict[str, Any]) -> None:
        """Write one record and hand it to the operating system.

        Raises
        ------
        StateError
            If it cannot be written, such as on a full disk.
        """
        try:
            with self.path.open("a") as file:
                file.write(json.dumps(record) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise _not_written(self.path, record["step"], error) from error


def _not_written(path: Path, step: int, reason: BaseException | None) -> StateError:
    return StateError(
        f"{path}: cannot write metrics of step {step}: {reason}. "
        f"Make room and run the same command again: it goes on from what was saved last"
    )


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read the records of a metrics.jsonl; a last line that was cut short is left out."""
    records = []
    lines = path.read_text().splitlines() if path.exists() else []
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if isinstance(record, dict):
            records.append(record)
        elif number < len(lines):
            raise StateError(
                f"{path}, line {number}: found {line[:60]!r}, expected a JSON record; "
                f"delete the line, or start a new run"
            )
    return records
