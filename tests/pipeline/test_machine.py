"""The processor's name, from Linux's files and without them."""

import platform

import pytest

from helixlm.pipeline import machine
from helixlm.pipeline.machine import processor_name

# The beginning of /proc/cpuinfo on x86, and on ARM, which has no model name.
INTEL = (
    "processor\t: 0\nmodel\t\t: 143\nmodel name\t: Intel(R) Xeon(R)  Gold 6430\nflags\t\t: fpu\n"
)
ARM = "processor\t: 0\nBogoMIPS\t: 243.75\nCPU implementer\t: 0x41\n"


@pytest.mark.parametrize(
    ("text", "family", "expected"),
    [
        (INTEL, "", "Intel(R) Xeon(R) Gold 6430"),
        (ARM, "", "aarch64"),
        (ARM, "arm", "arm"),
        (None, "arm", "arm"),
        ("model name\t:\n", "", "aarch64"),
    ],
)
def test_processor_name(tmp_path, monkeypatch, text, family, expected):
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(platform, "processor", lambda: family)
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    assert processor_name() == expected
