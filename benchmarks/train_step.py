"""One training step of the TinyDNABERT-size model: helixlm against transformers, side by side.

The reference is what the published script runs: `RobertaForMaskedLM` in eager float32 with logits
at every position and AdamW, as transformers' Trainer drives it. Ours is the loop's own step: head
on masked positions, torch.compile, fused AdamW, bfloat16 where it pays. Both get the same weights,
rows and masks in one process, and take turns; medians and their ratio are printed, and the losses,
so that one sees that both did the same work.

    python benchmarks/train_step.py                    # on a CPU: 8 rows, about 10 minutes
    python benchmarks/train_step.py --device cuda      # on a GPU: 128 rows, bfloat16, with MFU

Nothing is downloaded: the tokens are random, which changes no speed.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from transformers import RobertaConfig, RobertaForMaskedLM

from helixlm.models.config import num_parameters
from helixlm.models.convert import from_hf
from helixlm.models.encoder import compile_layers
from helixlm.models.heads import MaskedLM
from helixlm.rng import CounterRng
from helixlm.train.batches import BatchConfig, MicroBatch, StepBatch, Vocabulary
from helixlm.train.loss import masked_loss
from helixlm.train.masking import MaskingConfig
from helixlm.train.optim import build_optimizer
from helixlm.train.packing import RowPlan
from helixlm.train.stream import TrainingStream
from helixlm.train.throughput import measure_peak, training_flops

ROW_TOKENS = 512
VOCABULARY = Vocabulary(1024, 0, 2, 1, 4, (0, 1, 2, 3, 4), np.ones(1024, dtype=np.int32))


class RandomDocuments:
    """Windows of the published lengths, about 150 tokens each, of random tokens."""

    def __init__(self, count: int) -> None:
        self.lengths = CounterRng("lengths").integers(60, 240, count)
        self.ends = np.cumsum(self.lengths)

    def tokens(self, start: int, stop: int) -> np.ndarray:
        """Return random tokens, the same for the same start."""
        return CounterRng("tokens", start).integers(5, 1024, stop - start)


def make_batch(rows: int, micro_rows: int) -> StepBatch:
    """Return one step's batch as `tinydnabert` makes it: joined and cut."""
    config = BatchConfig(packing="concatenate", row_tokens=ROW_TOKENS, rows=rows)
    plan = RowPlan(RandomDocuments(8 * rows), config, VOCABULARY, seed=0)
    return TrainingStream(plan, MaskingConfig(), seed=0, micro_rows=micro_rows)[0]


def reference_model(dropout: float) -> RobertaForMaskedLM:
    """Return TinyDNABERT as its script builds it."""
    return RobertaForMaskedLM(
        RobertaConfig(
            vocab_size=1024,
            max_position_embeddings=514,
            hidden_size=512,
            num_hidden_layers=6,
            num_attention_heads=8,
            intermediate_size=2048,
            layer_norm_eps=1e-12,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
        )
    )


def reference_step(model: RobertaForMaskedLM, batch: StepBatch) -> Callable[[], float]:
    """Return a function that takes one step as transformers' Trainer does."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=1e-5)
    parts = [full_labels(micro) for micro in batch.micro]

    def step() -> float:
        model.train()
        total = 0.0
        for ids, labels in parts:
            found = model(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                labels=labels,
                num_items_in_batch=torch.tensor(batch.num_masked, device=ids.device),
            )
            found.loss.backward()
            total += float(found.loss.detach())
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return total

    return step


def full_labels(micro: MicroBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """Return inputs, and labels in the shape of the inputs with -100 where nothing is asked."""
    labels = torch.full_like(micro.input_ids_BL, -100)
    used = micro.labels_M >= 0
    labels.view(-1)[micro.masked_index_M[used]] = micro.labels_M[used]
    return micro.input_ids_BL, labels


def our_step(
    model: MaskedLM, batch: StepBatch, *, precision: str, compiled: bool
) -> Callable[[], float]:
    """Return a function that takes one step as `helixlm pretrain` does."""
    optimizer = build_optimizer(model, lr=1e-4, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-5)
    if compiled:
        compile_layers(model.encoder)

    def step() -> float:
        model.train()
        total = 0.0
        for micro in batch.micro:
            loss, _ = masked_loss(model, micro, precision)
            (loss / batch.num_masked).backward()
            total += float(loss.detach()) / batch.num_masked
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return total

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rows", type=int, help="rows a step; default 128 on a GPU, 8 on a CPU")
    parser.add_argument("--repeats", type=int, help="timed pairs; default 20 on a GPU, 5 on a CPU")
    parser.add_argument("--precision", choices=["float32", "bf16"], help="of our side")
    parser.add_argument("--no-compile", action="store_true", help="our side in eager mode")
    parser.add_argument("--dropout", type=float, default=0.1, help="published: 0.1")
    parser.add_argument("--json", action="store_true", help="print one JSON record at the end")
    given = parser.parse_args()
    device = torch.device(given.device)
    on_gpu = device.type == "cuda"
    rows = given.rows or (128 if on_gpu else 8)
    repeats = given.repeats or (20 if on_gpu else 5)
    peak = {dtype: measure_peak(device, dtype) for dtype in (torch.float32, torch.bfloat16)}
    pays = peak[torch.bfloat16] > 1.5 * peak[torch.float32]
    precision = given.precision or ("bf16" if pays else "float32")
    batch = make_batch(rows, rows)
    batch = batch._replace(micro=[micro.to(device) for micro in batch.micro])

    torch.manual_seed(0)
    theirs = reference_model(given.dropout).to(device)
    ours = from_hf(theirs, head="masked").to(device)
    print(f"{num_parameters(ours.config):,} parameters, {rows} rows of {ROW_TOKENS} tokens")
    theirs.eval()
    ours.eval()
    ids, labels = full_labels(batch.micro[0])
    with torch.no_grad():
        same = theirs(input_ids=ids, labels=labels).loss
        loss, _ = masked_loss(ours, batch.micro[0], "float32")
    print(f"loss before training, no dropout: {same:.6f} and {loss / batch.num_masked:.6f}")

    peaks = {
        "reference": peak[torch.float32],
        "helixlm": peak[torch.bfloat16 if precision == "bf16" else torch.float32],
    }
    flops = training_flops(
        ours.config, num_rows=rows, row_tokens=ROW_TOKENS, num_masked=batch.num_masked
    )
    steps = {
        "reference": reference_step(theirs, batch),
        "helixlm": our_step(ours, batch, precision=precision, compiled=not given.no_compile),
    }
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for repeat in range(repeats + 2):  # two rounds of warm-up, the first of which compiles
        for name, step in steps.items():
            synchronise(device)
            begin = time.perf_counter()
            step()
            synchronise(device)
            if repeat > 1:
                seconds[name].append(time.perf_counter() - begin)
    record = {"device": str(device), "rows": rows, "precision": precision, "repeats": repeats}
    for name, times in seconds.items():
        median = statistics.median(times)
        share = flops / median / peaks[name]
        speed = rows * ROW_TOKENS / median
        record[name] = {"seconds": median, "tokens_per_second": speed, "mfu": share}
        print(
            f"{name:<10} {median:8.3f} s a step  {speed:10,.0f} tokens/s  {share:6.1%} of the "
            f"measured matrix rate ({peaks[name] / 1e9:,.0f} GFLOP/s)"
        )
    pairs = zip(seconds["reference"], seconds["helixlm"], strict=True)
    ratios = sorted(reference / ours for reference, ours in pairs)
    record["ratio"] = statistics.median(ratios)
    print(
        f"ratio      {record['ratio']:.2f}x (pairs from {ratios[0]:.2f}x to {ratios[-1]:.2f}x), "
        f"ours in {precision}"
    )
    if given.json:
        print(json.dumps(record))


def synchronise(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
