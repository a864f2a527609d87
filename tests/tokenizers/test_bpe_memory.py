"""The memory that training takes, as the system counts it, against the memory that it was given."""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import hashlib, json, sys
import numpy as np
from helixlm.tokenizers.bpe_merges import learn_merges
from helixlm.tokenizers.bpe_text import read_text
from helixlm.tokenizers.bpe_train import train_bpe

memory, length, line_bp, vocab_size = map(int, sys.argv[1:])
letters = np.frombuffer(b"ACGT", dtype=np.uint8)

def lines():
    # Random blocks, half of which come again, as repeats do in a genome.
    rng = np.random.default_rng(0)
    for start in range(0, length, line_bp):
        if start % (2 * line_bp) == 0:
            rng = np.random.default_rng(start // line_bp // 64)
        yield letters[rng.choice(4, line_bp, p=(0.3, 0.2, 0.2, 0.3))].tobytes()

def status(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))

for line in lines():
    pass
train_bpe([line[:100_000]], vocab_size=600, min_frequency=1)
train_bpe([line[:20_000]] * 200, vocab_size=5000, min_frequency=1, memory_bytes=24 << 20)
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the peak is counted from here on
before = status("VmRSS")
text = read_text(lines(), max_regions=2, memory_bytes=memory)
merges = learn_merges(
    text, num_merges=vocab_size - 9, min_frequency=2, max_token_bp=None, memory_bytes=memory
)
print(json.dumps([status("VmHWM") - before, hashlib.sha256(repr(merges).encode()).hexdigest()]))
"""


def used_and_hash(memory, length, line_bp, vocab_size):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, (memory, length, line_bp, vocab_size))],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("length", "vocab_size", "budgets"),
    [
        (100_000_000, 600, (180_000_000, 300_000_000)),
        (20_000_000, 30_000, (50_000_000, 60_000_000)),  # several pairs share each counter
    ],
)
def test_training_keeps_to_the_memory_given(length, vocab_size, budgets):
    hashes = set()
    for memory in budgets:
        used, sha256 = used_and_hash(memory, length, 20_000, vocab_size)
        assert used <= memory, f"{used:,} bytes of {memory:,}"
        assert used > length // 2  # the measurement sees the text at all
        hashes.add(sha256)
    assert len(hashes) == 1
