"""The memory that training takes, as the system counts it, against the memory that it was given."""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import json, sys
import numpy as np
from helixlm.tokenizers.bpe_train import train_bpe

memory, length, line_bp = map(int, sys.argv[1:])
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
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the peak is counted from here on
before = status("VmRSS")
made = train_bpe(lines(), vocab_size=600, min_frequency=2, memory_bytes=memory or None, threads=2)
print(json.dumps([status("VmHWM") - before, made.sha256]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_training_keeps_to_the_memory_given():
    length = 40_000_000
    hashes = set()
    for memory in (0, 80_000_000, 120_000_000):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(memory), str(length), "20000"],
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
        used, sha256 = json.loads(done.stdout.splitlines()[-1])
        assert used <= (memory or 3 * length), f"{used:,} bytes of {memory:,}"
        assert used > length // 2  # the measurement sees the text at all
        hashes.add(sha256)
    assert len(hashes) == 1
