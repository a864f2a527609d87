"""From measured rates to whole projects: bytes, core-hours and what a file system must give.

The arithmetic of docs/scaling.md, whose formulas stand there. What is measured comes in: the runs
that `prepare.py --json` wrote, and rates of tokenizers from `bpe_train.py` and `bpe_encode.py`.

    python benchmarks/prepare.py --json runs.json
    python benchmarks/scaling.py runs.json
"""

import argparse
import json
from pathlib import Path
from typing import NamedTuple

from helixlm.data.corpus.tasks import TASK_BP


class Project(NamedTuple):
    """What is to be made into a token store."""

    name: str
    genomes: int
    gbp: float
    """Of all genomes."""
    kind: str
    """Whose run gives the rates of `prepare`."""
    copies: float = 1
    """Times that all bases are made into windows, beyond what the run did."""
    more_gb: float = 0
    """Input that is not sequence."""
    records_m: float = 0
    """Records with genotypes of 3,202 people, millions; the run had some of 50."""


PROJECTS = (
    Project("one human genome", 1, 3.1, "tinydnabert"),
    Project("DNABERT-2's 135 species", 135, 32.49, "tinydnabert"),
    Project("Nucleotide Transformer's 850 species", 850, 174, "pieces"),
    Project(
        "1000 Genomes, one of 3,202 people a window", 1, 3.1, "pieces, haplotypes", 1, 29.8, 73.55
    ),
    Project("1000 Genomes, all 3,202 people", 1, 3.1, "pieces, haplotypes", 3202, 29.8, 73.55),
)


class Stage(NamedTuple):
    """One stage of a project."""

    name: str
    core_hours: float
    reads_gb: float
    writes_gb: float
    shares: float
    """Parts that can be worked on at once."""


def stages(project: Project, run: dict, args: argparse.Namespace) -> list[Stage]:
    """Return what each stage of a project takes; formulas in docs/scaling.md."""
    mbp = project.gbp * 1000
    windows_gb = project.gbp * project.copies * run["corpus_bases"] / run["bases"]
    parquet_gb = windows_gb * run["corpus_bytes"] / run["corpus_bases"]
    store_gb = windows_gb / args.bases_a_token * args.bytes_a_token
    fasta_gb = project.gbp * args.fasta_bytes
    cutting = run["processor"] / run["bases"] * 1e6 - args.reading
    return [
        Stage("letters", mbp * args.reading / 3600, fasta_gb, project.gbp, project.genomes),
        Stage(
            "corpus",
            (mbp * project.copies * cutting + project.records_m * 1000 * args.record) / 3600,
            project.gbp * project.copies + project.more_gb,
            parquet_gb,
            max(project.genomes, project.gbp * 1e9 / TASK_BP),
        ),
        Stage(
            "vocabulary",
            windows_gb * 1000 * args.training / 3600,
            parquet_gb,
            0,
            args.machine_cores,
        ),
        Stage(
            "token store",
            windows_gb * 1000 * args.encoding / 3600,
            parquet_gb,
            store_gb,
            args.machine_cores,
        ),
    ]


def size(gb: float) -> str:
    """Write a size so that it can be read."""
    unit, factor = ("GB", 1) if gb < 1000 else ("TB", 1000)
    return f"{gb / factor:.1f} {unit}"


def duration(hours: float) -> str:
    """Write a time so that it can be read."""
    if hours < 1:
        return f"{hours * 60:.1f} min" if hours * 60 >= 1 else f"{hours * 3600:.0f} s"
    return f"{hours:.1f} h"


def disk(project: Project, found: list[Stage]) -> list[str]:
    """Return the bytes of each stage, and the most that lie there at once."""
    letters, corpus, _, store = found
    input_gb = letters.reads_gb + project.more_gb
    held = [input_gb + letters.writes_gb + corpus.writes_gb]
    held.append(input_gb + corpus.writes_gb + store.writes_gb)
    made = [input_gb, letters.writes_gb, corpus.writes_gb, store.writes_gb, max(held)]
    return [project.name, *map(size, made)]


def work(project: Project, found: list[Stage]) -> list[str]:
    """Return the core-hours of each stage, and their sum."""
    hours = [stage.core_hours for stage in found]
    return [project.name, *(f"{x:,.2f}" for x in [*hours, sum(hours)])]


def cluster(project: Project, found: list[Stage], args: argparse.Namespace) -> list[str]:
    """Return hours and traffic with many workers, and what is in the way first."""
    cells, worst = [], (0.0, "")
    for stage in found:
        busy = max(1, min(args.workers, int(stage.shares)))
        hours = stage.core_hours / busy
        traffic = (stage.reads_gb + stage.writes_gb) / max(hours * 3600, 1e-9)
        cells.append(f"{duration(hours)} on {busy}, {traffic:.2f} GB/s")
        worst = max(worst, (hours, f"{stage.name}: {busy} of {args.workers} workers are of use"))
    memory_gb = project.gbp * project.copies * args.training_bytes
    limit = f"; the vocabulary wants {size(memory_gb)} of memory" if memory_gb > 64 else ""
    return [project.name, *cells, worst[1] + limit]


def table(head: list[str], rows: list[list[str]]) -> None:
    """Print a table in Markdown."""
    print(f"\n| {' | '.join(head)} |\n|{' --- |' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("runs", type=Path, help="what prepare.py --json wrote")
    add("--fasta-bytes", type=float, default=0.32, help="of packed FASTA, a base (0.32: hg38)")
    add("--reading", type=float, default=0.009, help="core-seconds a Mbp, FASTA to letters (0.009)")
    add("--record", type=float, default=0.31, help="core-ms a record of 3,202 people (0.31)")
    add("--training", type=float, default=0.05, help="core-seconds a Mbp, byte pairs (0.05)")
    add("--training-bytes", type=float, default=2.2, help="of memory a base, byte pairs (2.2)")
    add("--encoding", type=float, default=0.024, help="core-seconds a Mbp, byte pairs (0.024)")
    add("--bases-a-token", type=float, default=5.2, help="vocabulary of 4,096 (5.2)")
    add("--bytes-a-token", type=float, default=2, help="uint16 (2)")
    add("--workers", type=int, default=64, help="of the cluster (64)")
    add("--machine-cores", type=int, default=16, help="of one machine, for tokenizers (16)")
    args = parser.parse_args()
    runs = json.loads(args.runs.read_text())
    found = {p: stages(p, runs[p.kind], args) for p in PROJECTS if p.kind in runs}
    names = ["letters", "corpus", "token store"]
    table(["disk", "input", *names, "most at once"], [disk(p, s) for p, s in found.items()])
    names.insert(2, "vocabulary")
    table(["core-hours", *names, "in all"], [work(p, s) for p, s in found.items()])
    head = [f"{args.workers} workers", *names, "in the way first"]
    table(head, [cluster(p, s, args) for p, s in found.items()])


if __name__ == "__main__":
    main()
