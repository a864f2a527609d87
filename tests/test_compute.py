"""Work in other processes: the results of `map`, whoever dies on the way.

Children can import what is built in, so the work here is `eval` of a text.
"""

import hashlib
import random
import signal
import subprocess
import sys
import textwrap
import time

import psutil
import pytest
from tests.compute_inputs import SETTINGS, TASK_BP, write_sources

from helixlm.compute import MOST_TRIES, Compute, ComputeError, Workers
from helixlm.data.corpus import tasks as corpus_tasks
from helixlm.data.corpus.prepare import prepare_corpus
from helixlm.data.corpus.tally import total
from helixlm.errors import InputError


def map_in_order(function, items, compute):
    with Workers(compute) as workers:
        yield from workers.map(function, items)


def dies_until(path, times):
    """An expression that kills its process so many times, counted in a file, and then is 7."""
    os, file = "__import__('os')", repr(str(path))
    dies = f"[open({file}, 'ab', 0).write(b'x'), {os}._exit(9)]"
    return f"({os}.path.exists({file}) and {os}.path.getsize({file}) >= {times} or {dies}) and 7"


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_results_come_in_the_order_of_the_items(workers):
    # The first ones take longest.
    items = [f"__import__('time').sleep({0.2 if n < 2 else 0}) or {n} ** 2" for n in range(9)]
    assert list(map_in_order(eval, items, Compute(workers=workers))) == [n**2 for n in range(9)]


def test_the_work_is_done_elsewhere_by_several():
    import os  # noqa: PLC0415

    items = ["__import__('time').sleep(0.1) or __import__('os').getpid()"] * 8
    found = set(map_in_order(eval, items, Compute(workers=2)))
    assert len(found) == 2
    assert os.getpid() not in found
    assert set(map_in_order(eval, items[:2], Compute())) == {os.getpid()}


def test_items_are_taken_as_workers_become_free():
    taken = []

    def items():
        for n in range(100):
            taken.append(n)
            yield str(n)

    results = map_in_order(eval, items(), Compute(workers=2))
    assert next(results) == 0
    assert len(taken) < 10
    results.close()


@pytest.mark.parametrize("times", [1, MOST_TRIES])
def test_an_item_whose_worker_died_is_given_out_again(tmp_path, times):
    items = ["1", dies_until(tmp_path / "count", times), "3", "4", "5"]
    assert list(map_in_order(eval, items, Compute(workers=2))) == [1, 7, 3, 4, 5]
    assert (tmp_path / "count").stat().st_size == times


def test_items_that_come_after_a_worker_died(tmp_path):
    count = tmp_path / "count"

    def items():
        yield dies_until(count, 1)
        while not count.exists():
            time.sleep(0.05)
        time.sleep(1)  # until the pool has noticed
        yield "2"
        yield "3"

    assert list(map_in_order(eval, items(), Compute(workers=2))) == [7, 2, 3]


def test_an_item_that_kills_each_worker_ends_the_run(tmp_path):
    items = ["1", dies_until(tmp_path / "count", 100), "3"]
    results = map_in_order(eval, items, Compute(workers=2))
    assert next(results) == 1
    with pytest.raises(ComputeError, match="died 3 times on the same part"):
        next(results)
    assert (tmp_path / "count").stat().st_size == 1 + MOST_TRIES  # among others, then alone


def test_a_script_that_begins_again_in_each_worker(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from helixlm.compute import Compute, Workers\n"
        "print(list(Workers(Compute(workers=2)).map(abs, [1])))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert "does not stand below 'if __name__ == \"__main__\":'" in done.stderr.splitlines()[-1]
    text = script.read_text().replace("print", 'if __name__ == "__main__":\n    print')
    script.write_text(text)
    assert subprocess.check_output([sys.executable, script], text=True) == "[1]\n"


def test_stages_share_workers_also_after_one_was_left_or_a_worker_died(tmp_path):
    pid = "__import__('os').getpid()"
    with Workers(Compute(workers=2)) as workers:
        first = set(workers.map(eval, [f"__import__('time').sleep(0.1) or {pid}"] * 8))
        left = workers.map(eval, [pid] * 100)
        next(left)
        left.close()
        assert set(workers.map(eval, [pid] * 8)) <= first
        assert list(workers.map(eval, [dies_until(tmp_path / "count", 2), "3"])) == [7, 3]
        assert not set(workers.map(eval, [pid] * 8)) & first


def test_an_error_comes_in_its_turn():
    item = "(_ for _ in ()).throw(__import__('helixlm.errors').errors.InputError('line 7'))"
    results = map_in_order(eval, ["1", item, "3"], Compute(workers=2))
    assert next(results) == 1
    with pytest.raises(InputError, match="line 7"):
        next(results)


def test_four_workers_write_the_bytes_of_one(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus_tasks, "TASK_BP", TASK_BP)
    sources = write_sources(tmp_path)
    manifest = prepare_corpus(sources, tmp_path / "1", **SETTINGS)
    prepare_corpus(sources, tmp_path / "4", **SETTINGS, compute=Compute(workers=4))
    assert hashes(tmp_path / "1") == hashes(tmp_path / "4")
    # All that the inputs are for has happened, in many parts.
    whole = total(tally for source in manifest.sources for tally in source.tallies.values())
    assert len(manifest.splits["train"].shards) > 15
    assert whole.variants["SNV"] > 500
    assert manifest.repeats is not None
    assert min(whole.dropped["duplicate"], whole.dropped["repeat"]) > 10_000
    assert [source.kind for source in manifest.sources] == ["fasta", "fasta", "fasta", "cds"]


PREPARE = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from helixlm.compute import Compute
    from helixlm.data.corpus.prepare import prepare_corpus
    from helixlm.data.sources import Source
    from helixlm.data.splits import SplitConfig

    folder, output, workers = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    sources = [Source(fasta=file, species=file.stem) for file in sorted(folder.glob("*.fa"))]
    split = SplitConfig(by="block", block_bp=50_000)
    prepare_corpus(sources, output, split=split, compute=Compute(workers=workers))
    """
)


def hashes(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def lives(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_workers_end_with_their_parent_and_the_next_run_is_as_if_undisturbed(tmp_path):
    for name in "abcd":
        letters = "".join(random.Random(name).choices("ACGT", k=700_000))
        (tmp_path / f"{name}.fa").write_text(f">{name}\n{letters}\n")
    command = [sys.executable, "-c", PREPARE, tmp_path]
    process = subprocess.Popen([*command, tmp_path / "out", "2"])
    while not list(tmp_path.glob(".out.unfinished/scratch/tasks/*.json")):
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    workers = psutil.Process(process.pid).children(recursive=True)
    assert len(workers) >= 2
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    deadline = time.monotonic() + 5
    while (
        found := [worker for worker in workers if lives(worker)]
    ) and time.monotonic() < deadline:
        time.sleep(0.05)
    for worker in found:
        worker.kill()
    assert not found
    assert (tmp_path / ".out.unfinished").exists()
    for name, workers in (("out", "2"), ("whole", "1")):
        subprocess.run([*command, tmp_path / name, workers], check=True)
    assert hashes(tmp_path / "out") == hashes(tmp_path / "whole")
    assert not (tmp_path / ".out.unfinished").exists()
