"""The matrix rate by a clock of ours."""

from types import SimpleNamespace

import torch

from helixlm.train import throughput
from helixlm.train.throughput import Peak, measure_peak


def test_the_matrix_rate_is_that_of_the_best_product_but_the_first(monkeypatch):
    # What the clock says at the beginning; then for each product before and after it and, from the
    # third one on, when asked whether 3 seconds are over.
    clock = iter([0.0, 0.1, 0.2, 1.0, 1.5, 2.0, 2.25, 2.3, 2.5, 3.5, 3.6])
    monkeypatch.setattr(throughput, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    found = measure_peak(torch.device("cpu"), torch.float32, seconds=3)
    assert found == 2 * 1024**3 / 0.25  # the first took 0.1 s, the others 0.5, 0.25 and 1 s
    assert list(clock) == []


def test_a_rate_measured_beside_other_work_is_measured_again(monkeypatch):
    """At first the machine is busy; later it is free, then busy again."""
    found = iter([50.0, 200.0, 100.0])
    monkeypatch.setattr(throughput, "measure_peak", lambda device, dtype: next(found))
    peak = Peak(torch.device("cpu"), torch.float32)
    assert peak.share(25.0) == 0.5
    assert peak.share(120.0) == 0.6  # 240 % of what was measured first
    assert peak.share(50.0) == 0.25
    assert peak.share(210.0) is None
    assert peak.flops == 200.0
    assert not list(found)
