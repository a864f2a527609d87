"""The machine that numbers were made on, in words."""

import platform
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
"""Linux's description of the processors."""


def processor_name() -> str:
    """Return the processor's model, such as "Intel(R) Xeon(R) Gold 6430".

    Where Linux does not say, what `platform` knows: a family such as "arm", or "x86_64".
    """
    try:
        lines = CPUINFO.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name" and value.strip():
            return " ".join(value.split())
    return platform.processor() or platform.machine()
