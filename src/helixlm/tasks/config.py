"""Settings of fine-tuning."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from helixlm.train.optim import Schedule


class FinetuneConfig(BaseModel):
    """How a sequence classifier is trained; the defaults are TinyDNABERT's evaluation.

    References
    ----------
    ForestsKing/TinyDNABERT, ``4_evaluate.py``; what it leaves to transformers' Trainer (schedule,
    betas, eps, clipping) is as it is there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_steps: int = Field(5000, ge=1)
    """Optimiser steps."""
    batch_size: int = Field(64, ge=1)
    """Sequences of a step."""
    lr: float = Field(1e-4, gt=0)
    """Highest learning rate."""
    schedule: Schedule = "linear"
    """Decay after the warm-up, to zero."""
    warmup_steps: int = Field(500, ge=0)
    """Steps over which the learning rate rises from zero."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay rates of AdamW's two moments."""
    eps: float = Field(1e-8, gt=0)
    """AdamW's epsilon."""
    weight_decay: float = Field(1e-5, ge=0)
    """Decoupled weight decay; none on biases and normalisation."""
    clip_norm: float = Field(1.0, gt=0)
    """Largest norm of the gradient of all parameters together; above it, it is scaled down."""
    dropout: float | None = Field(None, ge=0, lt=1)
    """Dropout in training, of encoder and head; null takes the model's rates."""
    precision: Literal["float32", "bf16"] = "float32"
    """Matrix products in float32 or bfloat16; weights and optimiser stay float32."""
    eval_every: int = Field(200, ge=1)
    """Steps between evaluations on dev; the last step is always one. The best by MCC is kept."""
    log_every: int = Field(50, ge=1)
    """Steps between training lines of metrics.jsonl."""
    dev_fraction: float = Field(0.1, gt=0, lt=1)
    """Share of train that becomes dev where no dev file is given, drawn label by label."""
    dev_seed: int = Field(0, ge=0)
    """Which share; apart from the training seed, so that all seeds are judged on the same rows."""
    max_tokens: int | None = Field(None, ge=3)
    """Longest sequence in tokens, special tokens counted; null takes the model's longest."""
    truncate: bool = False
    """Cut longer sequences at their right end (counted and logged) instead of refusing them."""

    @model_validator(mode="after")
    def _steps_fit(self) -> "FinetuneConfig":
        if self.warmup_steps >= self.max_steps:
            raise ValueError(
                f"warmup_steps {self.warmup_steps} is not below max_steps {self.max_steps}: the "
                "learning rate would never reach lr: lower it too, such as with --set "
                f"finetune.warmup_steps={self.max_steps // 10}"
            )
        return self
