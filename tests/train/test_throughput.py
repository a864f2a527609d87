"""The operations of a step against PyTorch's own counter, the matrix rate by a clock of ours."""

from types import SimpleNamespace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from helixlm.models.heads import MaskedLM
from helixlm.models.init import initialise
from helixlm.train import throughput
from helixlm.train.throughput import Peak, measure_peak, training_flops

from .toy import toy_config


@pytest.mark.parametrize("masked", [1, 9, 60])
@pytest.mark.parametrize("layers", [1, 3])
def test_operations_are_those_that_pytorch_counts(layers, masked):
    config = toy_config(num_layers=layers, hidden_dropout=0.0, attention_dropout=0.0)
    model = MaskedLM(config)
    initialise(model, config, torch.Generator().manual_seed(0))
    model.encoder.attention_path = "reference"  # PyTorch's counter does not know every fused kernel
    rows, tokens = 3, 20
    ids = torch.randint(5, 17, (rows, tokens), generator=torch.Generator().manual_seed(0))
    with FlopCounterMode(display=False) as counter:
        model(ids, masked_index_M=torch.arange(masked)).sum().backward()
    ours = training_flops(config, num_rows=rows, row_tokens=tokens, num_masked=masked)
    assert counter.get_total_flops() == pytest.approx(ours, rel=1e-9)


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
