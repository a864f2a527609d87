"""The machine: its processor in words, and the compiler that torch.compile calls on it."""

import os
import platform
import shutil
import sys
from pathlib import Path

from helixlm.errors import InputError

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


def compiler_for(device: str) -> str | None:
    """Return the path of the compiler that torch.compile calls for a device; None if it has none.

    On a CPU that is a C++ compiler, on a GPU the C compiler that Triton builds its launchers with.

    References
    ----------
    PyTorch, ``torch/_inductor/cpp_builder.py``; Triton, ``triton/runtime/build.py``.
    """
    if device.startswith("cpu"):
        names = [os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")]
    else:
        names = [os.environ["CC"]] if os.environ.get("CC") else ["gcc", "clang"]
    return next((path for name in names if (path := shutil.which(name))), None)


def require_compiler(device: str) -> None:
    """Check that torch.compile can work, before anything else takes time.

    Raises
    ------
    InputError
        If there is no compiler.
    """
    if compiler_for(device) is None:
        raise InputError(
            f"train.compile: torch.compile on {device} calls a compiler, and none was found: "
            "install one (Debian: apt install g++), or train without it: --set train.compile=false"
        )
