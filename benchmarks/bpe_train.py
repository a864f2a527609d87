"""Byte-pair training: helixlm's exact trainer against the `tokenizers` library, side by side.

Both get the same lines from the same file, use all cores, and have a process of their own, so that
the peak of memory is theirs. What the process holds before it opens the file is taken off. The
merges of both are compared. The library takes minutes, so it runs once. Where there is no real
genome, one with repeats is simulated.

    python benchmarks/bpe_train.py                                  # 12 and 50 Mbp, simulated
    python benchmarks/bpe_train.py --fasta sacCer3.fa.gz --mbp 12   # a genome of yours
    python benchmarks/bpe_train.py --mbp 3100 --line-bp 12000 --only helixlm
"""

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from helixlm.data.formats.fasta import iter_chunks

BLOCK_BP = 1_000_000
REPEAT_SHARE = 0.45
SIDES = ("helixlm", "tokenizers")


def simulated(mbp: int, seed: int = 0) -> Iterator[str]:
    """Yield blocks of a genome with interspersed repeats, old and young, and tandem repeats."""
    rng = np.random.default_rng(seed)
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    families = [
        rng.choice(4, int(length), p=(0.3, 0.2, 0.2, 0.3)) for length in rng.integers(150, 6000, 60)
    ]
    for _ in range(mbp):
        gc = rng.uniform(0.35, 0.5) / 2
        block = rng.choice(4, BLOCK_BP, p=(0.5 - gc, gc, gc, 0.5 - gc))
        covered = 0
        while covered < REPEAT_SHARE * BLOCK_BP:
            if rng.random() < 0.1:
                unit = rng.integers(0, 4, rng.integers(1, 7))
                copy = np.tile(unit, int(rng.integers(5, 40)))
            else:
                family = families[int(60 * rng.random() ** 2)]
                start = int(rng.integers(0, len(family) // 2))
                copy = family[start:].copy()
                changed = rng.random(len(copy)) < rng.uniform(0.02, 0.3)
                copy[changed] = rng.integers(0, 4, int(changed.sum()))
            at = int(rng.integers(0, BLOCK_BP - len(copy)))
            block[at : at + len(copy)] = copy
            covered += len(copy)
        yield letters[block].tobytes().decode()


def real(paths: list[Path], mbp: int) -> Iterator[str]:
    """Yield the sequence of FASTA files, up to a length."""
    left = mbp * 1_000_000
    for path in paths:
        for chunk in iter_chunks(path, BLOCK_BP):
            yield chunk.sequence[:left].upper()
            left -= len(chunk.sequence)
            if left <= 0:
                return


def write_lines(blocks: Iterator[str], line_bp: int, path: Path) -> int:
    """Write lines of equal length; return the letters written."""
    total = 0
    rest = ""
    with path.open("w") as file:
        for block in blocks:
            rest += block
            whole = len(rest) // line_bp * line_bp
            for start in range(0, whole, line_bp):
                file.write(rest[start : start + line_bp] + "\n")
            total += whole
            rest = rest[whole:]
        if rest:
            file.write(rest + "\n")
    return total + len(rest)


def held_bytes(name: str) -> int:
    """Memory of this process by its name in /proc: VmRSS now, VmHWM at most."""
    with Path("/proc/self/status").open() as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))


def train(side: str, path: Path, vocab_size: int) -> dict[str, object]:
    """Train in this process; return seconds, bytes beside what was there before, and merges."""
    if side == "helixlm":
        from helixlm.tokenizers.bpe_train import train_bpe  # noqa: PLC0415

        train_bpe(simulated(1), vocab_size=1024, min_frequency=2)  # loads compiled code
    else:
        from tokenizers import Tokenizer, models, trainers  # noqa: PLC0415
    Path("/proc/self/clear_refs").write_text("5")  # the most is counted from here on
    before = held_bytes("VmRSS")
    begin = time.perf_counter()
    with path.open() as file:
        lines = (line.rstrip("\n") for line in file)
        if side == "helixlm":
            merges = train_bpe(lines, vocab_size=vocab_size, min_frequency=2).merges
        else:
            runs = (run for line in lines for run in line.split("N") if run)
            library = Tokenizer(models.BPE())
            library.train_from_iterator(
                runs,
                trainers.BpeTrainer(
                    vocab_size=vocab_size - 5,
                    min_frequency=2,
                    initial_alphabet=list("ACGT"),
                    show_progress=False,
                ),
            )
            merges = [tuple(pair) for pair in json.loads(library.to_str())["model"]["merges"]]
    return {
        "seconds": time.perf_counter() - begin,
        "bytes": held_bytes("VmHWM") - before,
        "merges": hashlib.sha256(repr(merges).encode()).hexdigest(),
    }


def measure(side: str, path: Path, vocab_size: int) -> dict[str, object]:
    """Train in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--child", side, str(path), str(vocab_size)],
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Print a line for each size and length of lines."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--fasta", type=Path, nargs="*", default=[])
    parser.add_argument("--mbp", type=int, nargs="+", default=[12, 50])
    parser.add_argument("--line-bp", type=int, nargs="+", default=[1000, 12000])
    parser.add_argument("--vocab-size", type=int, default=4096)
    parser.add_argument("--only", choices=SIDES)
    parser.add_argument("--repeats", type=int, default=3, help="runs of helixlm; the median")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        side, path, vocab_size = options.child
        print(json.dumps(train(side, Path(path), int(vocab_size))))
        return
    sides = [options.only] if options.only else list(SIDES)
    with tempfile.TemporaryDirectory() as folder:  # so that what is compiled once, is by now
        path = Path(folder) / "lines.txt"
        write_lines(simulated(2), 1000, path)
        measure("helixlm", path, options.vocab_size)
    print(f"vocabulary {options.vocab_size:,}")
    for mbp in options.mbp:
        for line_bp in options.line_bp:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "lines.txt"
                blocks = real(options.fasta, mbp) if options.fasta else simulated(mbp)
                letters = write_lines(blocks, line_bp, path)
                found = {
                    side: [
                        measure(side, path, options.vocab_size)
                        for _ in range(options.repeats if side == "helixlm" else 1)
                    ]
                    for side in sides
                }
            print(f"{letters / 1e6:8.1f} Mbp in lines of {line_bp:,}")
            for side, runs in found.items():
                seconds = [float(run["seconds"]) for run in runs]
                held = max(int(run["bytes"]) for run in runs)
                print(
                    f"    {side:<12} {statistics.median(seconds):9.1f} s "
                    f"({min(seconds):.1f} to {max(seconds):.1f})  "
                    f"{held / letters:6.2f} bytes a base, {held / 1e9:.2f} GB",
                    flush=True,
                )
            if len(found) == 2:
                ours, theirs = ([float(run["seconds"]) for run in found[side]] for side in SIDES)
                merges = {run["merges"] for runs in found.values() for run in runs}
                ratio = theirs[0] / statistics.median(ours)
                print(
                    f"    ratio        {ratio:9.1f} x  "
                    f"merges {'identical' if len(merges) == 1 else 'DIFFER'}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
