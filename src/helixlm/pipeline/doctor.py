"""Does this machine give the right numbers? Versions, devices, and a numeric self-test."""

import sys
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import nn
from transformers import RobertaConfig, RobertaForMaskedLM

from helixlm.models.convert import from_hf
from helixlm.pipeline.machine import compiler_for, processor_name
from helixlm.pipeline.pretrain import versions
from helixlm.train.loss import summed_loss
from helixlm.train.throughput import measure_peak

TOLERANCE = 1e-4


class Check(NamedTuple):
    """One thing that was looked at."""

    name: str
    passed: bool
    found: str
    advice: str = ""
    needed: bool = True
    """Whether helixlm cannot do without it; otherwise `advice` says what it is for."""


def examine() -> list[Check]:
    """Look at versions, devices and numbers.

    Returns
    -------
    list of Check
        In the order in which they were made. The self-test compares the encoder with transformers'
        RoBERTa on random weights, float32 with bfloat16, and two equal steps with each other.
    """
    return [*_environment(), *_numbers()]


def _environment() -> Iterator[Check]:
    found = versions()
    yield Check(
        "versions",
        sys.version_info >= (3, 11),
        ", ".join(f"{name} {number}" for name, number in found.items()),
        "helixlm needs Python 3.11 or newer",
    )
    for device in _devices():
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name()
        rate = measure_peak(device, torch.float32) / 1e9
        half = measure_peak(device, torch.bfloat16) / 1e9
        yield Check(
            f"speed on {device}",
            rate > 0,
            f"{name}: {rate:,.0f} GFLOP/s in float32, {half:,.0f} in bfloat16",
        )
    for device in _devices():
        compiler = compiler_for(device.type)
        yield Check(
            f"compiler for {device}",
            compiler is not None,
            compiler or "none found",
            "recipes with train.compile: true need one, so all but tinydnabert-mini and demo "
            "(Debian: apt install g++); or add --set train.compile=false",
            needed=False,
        )


def _devices() -> list[torch.device]:
    return [torch.device("cpu")] + [
        torch.device("cuda", i) for i in range(torch.cuda.device_count())
    ]


def _numbers() -> Iterator[Check]:
    advice = (
        "this device gives other numbers than the definition: update torch and the driver, or "
        "train with --device cpu, and report the output of this command"
    )
    config = RobertaConfig(
        vocab_size=64,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=130,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        reference = RobertaForMaskedLM(config).eval()
        ids = torch.randint(5, 64, (4, 128))
    expected = reference(ids).logits.detach()
    for device in _devices():
        model = from_hf(reference, head="masked").to(device).eval()
        here = ids.to(device)
        with torch.no_grad():
            logits = model(here).float().cpu()
            with torch.autocast(device.type, dtype=torch.bfloat16):
                half = model(here).float().cpu()
        worst = float((logits - expected).abs().max())
        yield Check(
            f"float32 on {device}",
            worst < TOLERANCE,
            f"largest difference to transformers {worst:.1e} (limit {TOLERANCE:.0e})",
            advice,
        )
        worst = float((half - expected).abs().max() / expected.abs().max())
        yield Check(
            f"bfloat16 on {device}",
            worst < 0.05,
            f"largest difference to float32 {worst:.1%} of the largest logit (limit 5 %)",
            advice,
        )
        first, second = (_gradient(model, here) for _ in range(2))
        equal = torch.equal(first, second)
        apart = float((first - second).abs().max())
        yield Check(
            f"repeatable on {device}",
            device.type != "cpu" or equal,
            "two equal steps give equal gradients"
            if equal
            else f"gradients of equal steps differ by up to {apart:.1e}",
            "resumed runs will not be bit-identical on this machine",
        )


def _gradient(model: nn.Module, ids: torch.Tensor) -> torch.Tensor:
    model.zero_grad()
    summed_loss(model(ids).flatten(0, 1), ids.flatten()).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]).cpu()
