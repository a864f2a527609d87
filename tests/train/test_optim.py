"""The schedule against transformers' own, and the parameter groups against its Trainer's rule."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from transformers import (
    RobertaConfig,
    RobertaForMaskedLM,
    get_cosine_schedule_with_warmup,
    get_inverse_sqrt_schedule,
    get_linear_schedule_with_warmup,
)
from transformers.trainer_pt_utils import get_parameter_names

from helixlm.models.convert import from_hf
from helixlm.train.config import TrainConfig
from helixlm.train.optim import (
    build_optimizer,
    learning_rate,
    parameter_groups,
    set_learning_rate,
)

REFERENCE = {
    "linear": get_linear_schedule_with_warmup,
    "cosine": get_cosine_schedule_with_warmup,
}


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize(("warmup", "total"), [(0, 7), (5, 20), (3, 4)])
@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
def test_schedules_are_those_of_transformers(schedule, warmup, total):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
    reference = REFERENCE[schedule](optimizer, warmup, total)
    for step in range(total):
        rate = learning_rate(
            step, peak=0.3, warmup_steps=warmup, total_steps=total, schedule=schedule
        )
        assert rate == pytest.approx(reference.get_last_lr()[0], abs=1e-12)
        reference.step()


@pytest.mark.parametrize(("warmup", "total"), [(1, 7), (5, 40)])
@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
def test_square_root_decay_is_that_of_transformers(warmup, total):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
    reference = get_inverse_sqrt_schedule(optimizer, warmup)
    for step in range(total):
        rate = learning_rate(
            step, peak=0.3, warmup_steps=warmup, total_steps=total, schedule="square-root"
        )
        assert rate == pytest.approx(reference.get_last_lr()[0], abs=1e-12)
        reference.step()


def test_the_published_schedule_of_nucleotide_transformer():
    settings = {"peak": 1e-4, "warmup_steps": 16_000, "total_steps": 300_000}
    rates = [
        learning_rate(step, schedule="square-root", initial_fraction=0.5, **settings)
        for step in (0, 8_000, 16_000, 64_000)
    ]
    assert rates == pytest.approx([5e-5, 7.5e-5, 1e-4, 5e-5])  # four times the steps: half


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"schedule": "square-root", "warmup_steps": 0}, "set warmup_steps to at least 1"),
        ({"schedule": "constant", "final_fraction": 0.1}, "schedule 'constant' has no end"),
    ],
)
def test_schedules_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        TrainConfig(**settings)


def test_constant_and_final_fraction():
    settings = {"peak": 2.0, "warmup_steps": 2, "total_steps": 10}
    assert [learning_rate(s, schedule="constant", **settings) for s in (0, 1, 2, 9)] == [0, 1, 2, 2]
    end = [learning_rate(10, schedule=s, final_fraction=0.1, **settings) for s in REFERENCE]
    assert end == pytest.approx([0.2, 0.2])


def test_groups_are_those_of_transformers_trainer():
    hf = RobertaForMaskedLM(
        RobertaConfig(
            vocab_size=20,
            hidden_size=8,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=16,
            max_position_embeddings=12,
        )
    )
    decayed = set(get_parameter_names(hf, [nn.LayerNorm], [r"bias", r"layernorm", r"_norm"]))
    expected = sum(p.numel() for n, p in hf.named_parameters() if n in decayed)
    model = from_hf(hf, head="masked")
    groups = parameter_groups(model, 0.1)
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0]
    assert sum(p.numel() for p in groups[0]["params"]) == expected
    every = [id(p) for group in groups for p in group["params"]]
    assert sorted(every) == sorted(id(p) for p in model.parameters())


def test_frozen_parameters_are_left_out():
    model = nn.Linear(2, 2)
    model.bias.requires_grad_(False)
    assert parameter_groups(model, 0.1)[1]["params"] == []


def test_a_fused_step_is_the_plain_adamw_step():
    torch.manual_seed(0)
    ours, theirs = nn.Linear(3, 2), nn.Linear(3, 2)
    theirs.load_state_dict(ours.state_dict())
    settings = {"lr": 0.1, "betas": (0.9, 0.98), "eps": 1e-6}
    one = build_optimizer(ours, weight_decay=0.1, **settings)
    two = torch.optim.AdamW(
        [
            {"params": [theirs.weight], "weight_decay": 0.1},
            {"params": [theirs.bias], "weight_decay": 0.0},
        ],
        fused=False,
        foreach=False,
        **settings,
    )
    for step in range(3):
        for model, optimizer in ((ours, one), (theirs, two)):
            set_learning_rate(optimizer, 0.1 / (step + 1))
            optimizer.zero_grad()
            model(torch.arange(3.0)).pow(2).sum().backward()
            optimizer.step()
    torch.testing.assert_close(ours.weight, theirs.weight, rtol=0, atol=1e-6)
    torch.testing.assert_close(ours.bias, theirs.bias, rtol=0, atol=1e-6)
