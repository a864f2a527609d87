"""metrics.jsonl: one line per record, cut back to the checkpoint when a run resumes."""

import json
import os
from pathlib import Path
from typing import Any

from helixlm.errors import StateError


class MetricsLog:
    """Append records to a file of JSON lines.

    Parameters
    ----------
    path : Path
        The file.
    step : int
        Records of later steps are removed first, and so is a line that a kill cut short: the
        steps from there on are taken again.
    """

    def __init__(self, path: Path, *, step: int) -> None:
        self.path = path
        kept = [record for record in read_lines(path) if record["step"] <= step]
        if step == 0:
            kept = []
        partial = path.with_name(f".{path.name}.partial")
        partial.write_text("".join(json.dumps(record) + "\n" for record in kept))
        partial.replace(path)

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
            raise StateError(
                f"{self.path}: cannot write metrics of step {record['step']}: {error}. "
                f"Make room and run the same command again: it resumes from the last checkpoint"
            ) from error


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read the records of a metrics.jsonl; a last line that was cut short is left out."""
    records = []
    lines = path.read_text().splitlines() if path.exists() else []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(json.loads(line))
        except ValueError:
            if number < len(lines):
                raise StateError(
                    f"{path}, line {number}: found {line[:60]!r}, expected a JSON record; "
                    f"delete the line, or start a new run"
                ) from None
    return records
