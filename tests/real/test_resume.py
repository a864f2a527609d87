"""A run on yeast that is killed three times is, bit for bit, the run that was not.

The kills come from outside, at steps drawn anew each time; they are printed. HELIXLM_RESUME_STEPS
sets the length of the runs.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

STEPS = int(os.environ.get("HELIXLM_RESUME_STEPS", "40"))
TIMES = ("tokens_per_second", "mfu", "seconds")

SETTINGS = {
    "as the recipe is": ([], []),
    "dropout, and other workers after a kill": (
        ["model.hidden_dropout=0.1", "model.attention_dropout=0.1"],
        ["train.num_workers=2"],
    ),
    "windows drawn from both strands, with BPE dropout, and other workers after a kill": (
        [
            "batches.packing=drawn",
            "batches.drawn_bp=400",
            "batches.jitter_bp=100",
            "batches.reverse_complement=0.5",
            "batches.bpe_dropout=0.1",
        ],
        ["train.num_workers=2"],
    ),
    "all of it: dropout, bf16, compiled, other workers": (
        [
            "model.hidden_dropout=0.1",
            "model.attention_dropout=0.1",
            "train.precision=bf16",
            "train.compile=true",
        ],
        ["train.num_workers=2"],
    ),
}


def command(genome, output, settings):
    changed = [
        f"train.steps={STEPS}",
        f"train.warmup_steps={STEPS // 10}",
        "train.log_every=1",
        f"train.validate_every={STEPS // 2}",
        f"train.checkpoint_every={max(2, STEPS // 8)}",
        *settings,
    ]
    options = [part for setting in changed for part in ("--set", setting)]
    called = [sys.executable, "-m", "helixlm", "pretrain", "--recipe", "tinydnabert-mini"]
    return [*called, "--fasta", str(genome), *options, "-o", str(output)]


def steps_done(run):
    metrics = run / "metrics.jsonl"
    if not metrics.exists():
        return 0
    lines = metrics.read_text().split("\n")[:-1]  # What follows the last newline is half a line.
    return max((json.loads(line)["step"] for line in lines), default=0)


def run_until(called, run, step):
    """Start the command and kill it as soon as it has logged `step`."""
    process = subprocess.Popen(called, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    started = time.monotonic()
    while steps_done(run) < step:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() - started < 600
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def losses(run):
    records = (json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines())
    return [{k: v for k, v in record.items() if k not in TIMES} for record in records]


@pytest.mark.parametrize("name", SETTINGS)
def test_killed_three_times(data, tmp_path, name):
    genome = data / "yeast" / "sacCer3.fa.gz"
    settings, later = SETTINGS[name]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(command(genome, whole, settings), check=True, capture_output=True)
    kills = sorted(random.SystemRandom().sample(range(1, STEPS), 3))
    print(f"killed after steps {kills} of {STEPS}")
    for number, step in enumerate(kills):
        extra = later if number else []
        run_until(command(genome, killed, settings + extra), killed, step)
    subprocess.run(command(genome, killed, settings + later), check=True, capture_output=True)
    assert losses(killed) == losses(whole)
    final = Path("checkpoints") / f"step-{STEPS:08d}" / "model.safetensors"
    weights, expected = load_file(killed / final), load_file(whole / final)
    assert weights.keys() == expected.keys()
    for key, tensor in expected.items():
        assert torch.equal(weights[key], tensor), key
