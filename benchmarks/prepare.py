"""`prepare` in numbers: Mbp a second of each kind of windows, memory, and where the time goes.

Every run is a fresh process, in which all code is loaded, that makes a corpus and removes it.
Three tables in Markdown:

speed   Mbp of input a second, median (least to most), with 1, 2 and 4 workers, and what one run
        takes of processor time and disk. The work is shared out in tasks of 67 Mbp, so workers
        need several hundred Mbp to be of use.
memory  most that the process and its workers hold at once, at several sizes of the input:
        without and with the pages of mapped files, which the system takes back when it needs
        them. Looked at ten times a second (Linux).
stages  shares of the processor time, from a profile of one more run with one worker; a profile
        slows Python down more than what is compiled, so they are rough.

    python benchmarks/prepare.py                                 # simulated: 400 Mbp; 50, 200, 800
    python benchmarks/prepare.py --mbp 5 --sizes 2 5 --task-mbp 1 --repeats 1       # to try it
    python benchmarks/prepare.py --fasta hg38.fa.gz --gff genes.gff3.gz --vcf people.vcf.gz
"""

import argparse
import cProfile
import json
import os
import pstats
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from genomes import Inputs, World, inputs_in, simulate_world, write_inputs

from helixlm.compute import Compute
from helixlm.data.corpus import prepare
from helixlm.data.corpus import tasks as corpus_tasks
from helixlm.data.folder import MANIFEST
from helixlm.data.sources import Source
from helixlm.data.splits import SplitConfig

KINDS: dict[str, tuple[str, ...]] = {
    "tinydnabert": (),
    "fixed": ("windows.kind=fixed", "windows.length_bp=1000"),
    "dnabert, cut": ("windows.kind=dnabert",),
    "dnabert, sample": ("windows.kind=dnabert", "windows.mode=sample"),
    "pieces": ("windows.kind=pieces", "windows.chunk_bp=12000"),
    "repeatfree": ("windows.kind=repeatfree",),
    "features": ("windows.kind=features", "windows.upstream_bp=1000", "windows.downstream_bp=200"),
    "coding": ("windows.kind=coding",),
    "pieces, haplotypes": ("windows.kind=pieces", "windows.chunk_bp=12000"),
    "fixed, exact duplicates": (
        "windows.kind=fixed",
        "windows.length_bp=1000",
        "duplicates={remove: exact}",
    ),
    "fixed, near duplicates": (
        "windows.kind=fixed",
        "windows.length_bp=1000",
        "duplicates={remove: near}",
    ),
}
STAGES = {
    "FASTA": ("fasta_bytes.py", "fasta_stream.py", "twobit.py", "genome.py"),
    "Parquet, zstd": ("pyarrow", "window_files.py"),
    "counts": ("tally.py",),
    "haplotypes": ("vcf.py", "haplotype", "cyvcf2"),
    "duplicates": ("duplicates.py", "unique_rows.py", "sketch.py", "digests.py"),
    "annotation": ("gff3.py", "annotation", "numbered_lines.py", "coding.py"),
    "windows": ("/windows/", "runs.py", "repeats.py", "rng.py", "corpus_rows.py", "splits.py"),
}
"""By the file of the function, the first that fits; hashing goes by its own name."""


def make_corpus(job: dict[str, Any]) -> dict[str, Any]:
    """Make a corpus in this process; return seconds, bytes and, if asked for, shares of time."""
    from helixlm.recipes.load import load_recipe  # noqa: PLC0415 - torch, which workers lack

    warm_up(job["kind"])
    corpus_tasks.TASK_BP = job["task_bp"]
    recipe = load_recipe("tinydnabert", [*KINDS[job["kind"]], "split.by=block"])
    source = Source(fasta=tuple(job["fasta"]), vcf=tuple(job["vcf"]), gff=job["gff"])
    profile = cProfile.Profile() if job["profile"] else None
    start, used = time.perf_counter(), os.times()
    if profile:
        profile.enable()
    manifest = prepare.prepare_corpus(
        [source],
        job["output"],
        windows=recipe.windows,
        duplicates=recipe.duplicates,
        split=recipe.split,
        compute=Compute(workers=job["workers"]),
    )
    if profile:
        profile.disable()
    seconds, now = time.perf_counter() - start, os.times()
    return {
        "seconds": seconds,
        "processor": sum(now[:4]) - sum(used[:4]),  # of workers too: they have ended
        "bases": sum(sum(file.contigs.values()) for file in manifest.inputs),
        "corpus_bases": sum(split.num_bases for split in manifest.splits.values()),
        "corpus_bytes": sum(file.bytes for file in manifest.files),
        "stages": shares(pstats.Stats(profile)) if profile else {},
    }


def warm_up(kind: str) -> None:
    """Make a small corpus, so that all code is loaded and compiled."""
    from helixlm.recipes.load import load_recipe  # noqa: PLC0415 - torch, which workers lack

    recipe = load_recipe("tinydnabert", KINDS[kind])
    letters = np.frombuffer(b"ACGT", np.uint8)[np.random.default_rng(0).integers(0, 4, 40_000)]
    contigs = ("one", "two", "three")
    rows = [f"{x}\t.\tmRNA\t8001\t9000\t.\t+\t.\tID={x}" for x in contigs]
    rows += [f"{x}\t.\tCDS\t8001\t9000\t.\t+\t0\tID={x}.cds;Parent={x}" for x in contigs]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fasta, gff = folder / "genome.fa", folder / "genes.gff3"
        fasta.write_text("".join(f">{x}\n{letters.tobytes().decode()}\n" for x in contigs))
        gff.write_text("\n".join(["##gff-version 3", *rows, ""]))
        prepare.prepare_corpus(
            [Source(fasta=(fasta,), gff=gff)],
            folder / "corpus",
            windows=recipe.windows,
            split=SplitConfig(validation_contigs=("one",)),
        )


def shares(stats: pstats.Stats) -> dict[str, float]:
    """Return the time of each stage; what is built in counts where it was called from."""
    seconds: dict[str, float] = {}
    for (file, _, name), (_, _, own, _, callers) in stats.stats.items():  # type: ignore[attr-defined]
        if "HASH" in name or "sha256" in name:
            seconds["hashes"] = seconds.get("hashes", 0) + own
        elif file == "~":
            for (caller, _, _), (_, _, part, _) in callers.items():
                seconds[stage_of(caller)] = seconds.get(stage_of(caller), 0) + part
        else:
            seconds[stage_of(file)] = seconds.get(stage_of(file), 0) + own
    total = sum(seconds.values())
    return {stage: part / total for stage, part in seconds.items()}


def stage_of(file: str) -> str:
    """Return the stage that a file of code belongs to."""
    return next((stage for stage, ends in STAGES.items() if any(x in file for x in ends)), "rest")


def run(
    inputs: Inputs,
    kind: str,
    workers: int,
    task_bp: int,
    *,
    profile: bool = False,
    watched: bool = False,
) -> dict:
    """Make a corpus in a fresh process; return what it says, and the memory that was seen.

    Looking at memory takes time, the more so with mapped files and several workers.
    """
    genotypes = [inputs.vcf] if inputs.vcf and "haplotypes" in kind else []
    with tempfile.TemporaryDirectory() as folder:
        job = {
            "fasta": [str(path) for path in inputs.fasta],
            "gff": str(inputs.gff) if inputs.gff and kind in ("features", "coding") else None,
            "vcf": [str(path) for path in genotypes],
            "output": f"{folder}/corpus",
            "kind": kind,
            "workers": workers,
            "task_bp": task_bp,
            "profile": profile,
        }
        command = [sys.executable, __file__, "--child", json.dumps(job)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        watch = Watch(process.pid)
        if watched:
            watch.start()
        text, _ = process.communicate()
        if watched:
            watch.join()
        assert process.returncode == 0, f"{kind}: the run failed"
        assert (Path(folder) / "corpus" / MANIFEST).exists()
    return json.loads(text.splitlines()[-1]) | {"own": watch.own, "mapped": watch.mapped}


class Watch(threading.Thread):
    """Looks at the memory of a process and its children until they have ended; bytes."""

    def __init__(self, pid: int) -> None:
        super().__init__()
        self.pid = pid
        self.own = self.mapped = 0

    def run(self) -> None:
        """Look until there is nothing left."""
        while tree := process_tree(self.pid):
            sums = [memory_of(pid) for pid in tree]
            self.own = max(self.own, sum(own for own, _ in sums))
            self.mapped = max(self.mapped, sum(held for _, held in sums))
            time.sleep(0.1)


def process_tree(pid: int) -> list[int]:
    """Return a process and those that it began, if it still runs."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        threads = Path(f"/proc/{pid}/task").iterdir()
        children = [int(x) for t in threads for x in (t / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [] if status == "Z" else [pid, *(x for child in children for x in process_tree(child))]


def memory_of(pid: int) -> tuple[int, int]:
    """Return what a process holds: its own, and with its share of mapped files; bytes."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0, 0
    sizes = {line.split()[0]: int(line.split()[1]) for line in lines[1:]}
    return sizes["Pss_Anon:"] * 1024, sizes["Pss:"] * 1024


def possible(inputs: Inputs, kinds: list[str]) -> list[str]:
    """Return the kinds for which there is all that they need."""
    lacking = {"features": inputs.gff, "coding": inputs.gff, "pieces, haplotypes": inputs.vcf}
    return [kind for kind in kinds if lacking.get(kind, inputs.fasta)]


def table(head: str, rows: list[list[str]]) -> None:
    """Print a table in Markdown."""
    columns = head.split(" | ")
    print(f"\n| {head} |\n|{' --- |' * len(columns)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    sys.stdout.flush()


def speed(inputs: Inputs, args: argparse.Namespace) -> dict[str, dict]:
    """Print how fast each kind is; return a run of each with one worker."""
    rows, alone = [], {}
    for kind in possible(inputs, args.kinds):
        cells = []
        for workers in args.workers:
            found = [run(inputs, kind, workers, args.task_bp) for _ in range(args.repeats)]
            rates = sorted(x["bases"] / x["seconds"] / 1e6 for x in found)
            cells.append(f"{statistics.median(rates):.1f} ({rates[0]:.1f} to {rates[-1]:.1f})")
            alone.setdefault(kind, min(found, key=lambda x: x["seconds"]))
        one = alone[kind]
        cells.append(f"{one['processor'] / one['bases'] * 1e6:.3f}")
        cells.append(f"{one['corpus_bytes'] / max(1, one['corpus_bases']):.3f}")
        cells.append(f"{one['corpus_bases'] / one['bases']:.2f}")
        rows.append([kind, *cells])
    heads = [f"{workers} worker{'s' * (workers > 1)}, Mbp/s" for workers in args.workers]
    more = ["processor s a Mbp", "Parquet bytes a base of windows", "bases of windows a base"]
    table(" | ".join(["windows", *heads, *more]), rows)
    return alone


def memory(by_size: dict[int, Inputs], args: argparse.Namespace) -> None:
    """Print the peaks of memory at each size."""
    rows = []
    for kind in possible(next(iter(by_size.values())), args.kinds):
        cells = []
        for inputs in by_size.values():
            found = run(inputs, kind, args.workers[0], args.task_bp, watched=True)
            cells.append(f"{found['own'] / 2**20:.0f} ({found['mapped'] / 2**20:.0f})")
        rows.append([kind, *cells])
    table(" | ".join(["windows", *(f"{mbp} Mbp, MiB" for mbp in by_size)]), rows)


def stages(inputs: Inputs, args: argparse.Namespace) -> None:
    """Print where the time goes."""
    names = [*STAGES, "hashes", "rest"]
    rows = []
    for kind in possible(inputs, args.kinds):
        found = run(inputs, kind, 1, args.task_bp, profile=True)["stages"]
        rows.append([kind, *(f"{100 * found.get(name, 0):.0f} %" for name in names)])
    table(" | ".join(["windows", *names]), rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--fasta", type=Path, nargs="+", help="a genome, instead of a simulated")
    parser.add_argument("--gff", type=Path, help="its genes")
    parser.add_argument("--vcf", type=Path, help="its people: bgzip with an index")
    parser.add_argument("--mbp", type=int, default=400, help="simulated: for speed and stages")
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 200, 800], help="for memory")
    parser.add_argument("--samples", type=int, default=50, help="simulated people (50)")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), metavar="KIND")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--task-mbp", type=float, default=corpus_tasks.TASK_BP / 1e6)
    parser.add_argument("--json", type=Path, help="write the runs here, for scaling.py")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(make_corpus(json.loads(args.child))))
        return
    args.task_bp = int(args.task_mbp * 1e6)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if args.fasta:
            inputs, by_size = Inputs(tuple(args.fasta), args.gff, args.vcf), {}
        else:
            world = simulate_world(folder)
            inputs = simulated(world, folder, args.mbp, args.samples)
            by_size = {mbp: simulated(world, folder, mbp, args.samples) for mbp in args.sizes}
        alone = speed(inputs, args)
        if args.json:
            args.json.write_text(json.dumps(alone, indent=2))
        if by_size:
            memory(by_size, args)
        stages(inputs, args)


def simulated(world: World, folder: Path, mbp: int, samples: int) -> Inputs:
    """Write inputs of one size into a folder of their own."""
    place = folder / str(mbp)
    if not place.exists():
        place.mkdir()
        write_inputs(world, place, mbp, samples)
    return inputs_in(place)


if __name__ == "__main__":
    main()
