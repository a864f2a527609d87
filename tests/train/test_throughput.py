"""The operations of a step against PyTorch's own counter, and the measured matrix rate."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from helixlm.models.heads import MaskedLM
from helixlm.models.init import initialise
from helixlm.train.throughput import measure_peak, training_flops

from .toy import toy_config


@pytest.mark.parametrize("layers", [1, 3])
def test_operations_are_those_that_pytorch_counts(layers):
    config = toy_config(num_layers=layers, hidden_dropout=0.0, attention_dropout=0.0)
    model = MaskedLM(config)
    initialise(model, config, torch.Generator().manual_seed(0))
    model.encoder.attention_path = "reference"  # PyTorch's counter does not know every fused kernel
    rows, tokens = 3, 20
    ids = torch.randint(5, 17, (rows, tokens), generator=torch.Generator().manual_seed(0))
    every = torch.arange(rows * tokens)  # With all positions asked for, no layer is cut short.
    with FlopCounterMode(display=False) as counter:
        model(ids, masked_index_M=every).sum().backward()
    ours = training_flops(config, num_rows=rows, row_tokens=tokens, num_masked=rows * tokens)
    assert counter.get_total_flops() == pytest.approx(ours, rel=1e-9)


def test_the_matrix_rate_is_that_of_a_product_timed_by_pytorch():
    found = measure_peak(torch.device("cpu"), torch.float32, seconds=0.2)
    left = torch.ones(1024, 1024)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        for _ in range(5):
            left @ left
    fastest = min(e.cpu_time_total for e in profile.events() if e.name == "aten::mm")
    # Other programs take their share of a machine: the order of magnitude is what can be asked.
    assert 0.1 < found / (2 * 1024**3 / (fastest * 1e-6)) < 10
