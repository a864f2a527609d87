"""A report that looks like a real one: numbers of plausible size, every section filled."""

import math

import pytest

from helixlm.report.facts import (
    DataFacts,
    Feature,
    FinetuneFacts,
    Interval,
    MaskedExample,
    MaskedToken,
    MethodScore,
    ModelFacts,
    RunReport,
    SourceFile,
    TaskFacts,
    TokenizerFacts,
    TrainingFacts,
)
from helixlm.rng import CounterRng


def make_curves(steps=2000, log_every=20, validate_every=100, seed=0):
    """Records of metrics.jsonl: a falling loss with noise, below both baselines at the end."""
    rng = CounterRng("sample-curves", seed)

    def loss(step):
        return 5.28 + 1.2 * math.exp(-step / 180) + 0.46 * math.exp(-step / 900)

    def noise(scale):
        return scale * float(rng.uniform(1)[0] - 0.5)

    records = []
    for step in range(0, steps + 1, log_every):
        if step:
            value = loss(step) + noise(0.06)
            records.append(
                {
                    "kind": "train",
                    "step": step,
                    "loss": value,
                    "bits_per_base": value / 1.97 / math.log(2) / 2.09,
                    "masked_tokens": 12000,
                    "lr": 5e-4 * min(step / 200, (steps - step) / (steps - 200)),
                    "grad_norm": 0.8 + noise(0.3),
                    "tokens": step * 4096,
                    "tokens_per_second": 8100 + noise(900),
                    "mfu": 0.41 + noise(0.02),
                    "seconds": step * 0.5,
                }
            )
        if step % validate_every == 0:
            value = loss(step) + 0.02 + noise(0.01)
            records.append(
                {
                    "kind": "validation",
                    "step": step,
                    "loss": value,
                    "accuracy": 0.09 * (1 - math.exp(-step / 600)),
                    "bits_per_base": value / 1.97 / math.log(2) / 2.09,
                    "masked_tokens": 9000,
                    "unigram_loss": 5.874,
                    "unigram_bits_per_base": 2.058,
                    "unigram_accuracy": 0.0174,
                    "neighbour_loss": 5.561,
                    "neighbour_bits_per_base": 1.949,
                    "neighbour_accuracy": 0.0581,
                }
            )
    return tuple(records)


def make_example(tokens=90, seed=0, start=12_040):
    """A promoter whose TATA box the model knows."""
    rng = CounterRng("sample-example", seed)
    words = ["A", "TTC", "AAG", "GCA", "TATA", "CCG", "GATT", "TTTT", "ACAC", "GC", "CTGCA", "T"]
    at, cells = start, []
    for number in range(tokens):
        word, other = (words[int(k)] for k in rng.integers(0, len(words), 2))
        p = float(rng.uniform(1)[0]) ** 3
        if 30 <= number < 33:
            word, p = ("TATA", "AAG", "GCA")[number - 30], 0.8
        right = p > 0.35
        cells.append(
            MaskedToken(
                token=word,
                start=at,
                end=at + len(word),
                probability=p,
                guess=word if right else other,
                guess_probability=p if right else 0.3,
            )
        )
        at += len(word)
    tata = cells[30]
    return MaskedExample(
        contig="chrIV",
        start=start,
        end=at,
        title="Promoter of gene 12",
        tokens=tuple(cells),
        held_out=True,
        features=(
            Feature(name="TATA box", start=tata.start, end=cells[32].end, strand="+"),
            Feature(name="core promoter", start=cells[28].start, end=cells[60].end, strand="+"),
            Feature(name="initiator", start=cells[45].start, end=cells[46].end, strand="+"),
        ),
    )


def make_task(name, scratch=0.58, pretrained=0.70, spread=0.05, **rest):
    """A task with all four methods."""

    def score(method, value, sd=None, num_seeds=1, width=spread):
        interval = Interval(value=value, low=value - width, high=value + width)
        return MethodScore(method=method, score=interval, sd=sd, num_seeds=num_seeds)

    gain = pretrained - scratch
    return TaskFacts(
        name=name,
        scores=(
            score("majority", 0.0, width=0.0),
            score("kmer", (scratch + pretrained) / 2 - 0.02),
            score("scratch", scratch, 0.012, 3),
            score("pretrained", pretrained, 0.008, 3),
        ),
        gain=Interval(value=gain, low=gain - 0.9 * spread, high=gain + 0.9 * spread),
        train_rows=4904,
        dev_rows=613,
        test_rows=613,
        classes=2,
        **rest,
    )


RECIPE = """\
# resolved by helixlm 0.1.0
model:
  family: roberta
  hidden_size: 192
  num_layers: 4
train:
  steps: 2000
  lr: 0.0005
"""


@pytest.fixture
def sample_report():
    return make_report()


def make_report():
    """Everything filled."""
    return RunReport(
        title="yeast-mini",
        subtitle="tinydnabert-mini on the genome of baker's yeast",
        created="14 July 2025",
        data=DataFacts(
            species="Saccharomyces cerevisiae",
            assembly="sacCer3",
            files=(
                SourceFile(
                    name="sacCer3.fa.gz",
                    sha256="98981bbf0b5aa2b16b1a5ee1b9b3d9dbb6a7d4f3a9dd7e4f4f0dd6d0cbd7d9a1",
                    bases=12_157_105,
                    contigs=17,
                ),
            ),
            train_bases=9_841_233,
            validation_bases=2_101_554,
            train_windows=15_420,
            validation_windows=3_290,
            validation_contigs=("chrVIII", "chrXV"),
            dropped_bases={"ends of pieces, after the last window": 214_318},
            leak_check="No training window overlaps a validation window or has its sequence.",
            corpus_sha256="4c1b9e2b7a2f" + "0" * 52,
        ),
        tokenizer=TokenizerFacts(
            kind="bpe",
            vocab_size=1024,
            sha256="77aa1d0e9b31" + "0" * 52,
            bases_per_token=4.183,
            measured_on="the validation split",
            vocabulary_lengths={
                1: 4,
                2: 16,
                3: 62,
                4: 241,
                5: 420,
                6: 196,
                7: 52,
                8: 19,
                9: 5,
                12: 4,
            },
            text_lengths={
                1: 9000,
                2: 31000,
                3: 92000,
                4: 201000,
                5: 121000,
                6: 40000,
                7: 7000,
                8: 900,
            },
            frequent=(("TTTT", 0.0131), ("AAAA", 0.0128), ("GAA", 0.0102), ("TTC", 0.0099)),
            unused_tokens=3,
            unknown_share=0.0,
        ),
        model=ModelFacts(
            parameters=2_093_824,
            family="roberta",
            layers=4,
            hidden_size=192,
            heads=6,
            intermediate_size=768,
            max_tokens=512,
        ),
        training=TrainingFacts(
            steps=2000,
            best_step=2000,
            tokens=8_192_000,
            epochs=3.5,
            seconds=1012.4,
            tokens_per_step=4096,
            masked_share=0.15,
            seed=7,
            precision="bf16",
            machine="2 cores of an AMD EPYC 9354, 8 GiB",
        ),
        curves=make_curves(),
        finetune=FinetuneFacts(
            tasks=(
                make_task("promoter", about="Is there a promoter in these 300 bp?"),
                make_task("splice donor", scratch=0.81, pretrained=0.82, spread=0.03),
            ),
            resamples=2000,
            protocol="The epoch was chosen on dev; test was scored once.",
        ),
        examples=(make_example(),),
        recipe_yaml=RECIPE,
        versions={"helixlm": "0.1.0", "torch": "2.13.0", "Python": "3.11.9"},
        commands=(
            "helixlm pretrain --recipe tinydnabert-mini --fasta sacCer3.fa.gz -o yeast-mini",
            "helixlm finetune yeast-mini --train train.csv --test test.csv -o promoter",
        ),
        notes=("The dev set chose the epoch, so its scores are not shown.",),
    )
