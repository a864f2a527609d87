"""A toy split of a token store and a toy run, shared by the tests of training."""

from pathlib import Path

import numpy as np
import torch

from helixlm.models.config import EncoderConfig
from helixlm.models.heads import MaskedLM
from helixlm.models.init import initialise
from helixlm.rng import CounterRng
from helixlm.tokenizers.bpe import bpe_tokenizer, row_dropout
from helixlm.train.batches import BatchConfig, Plan, Stage, Vocabulary
from helixlm.train.config import TrainConfig
from helixlm.train.drawn import DrawnRows
from helixlm.train.loop import fit
from helixlm.train.masking import MaskingConfig
from helixlm.train.packing import RowPlan
from helixlm.train.result import TrainingResult

# <s> <pad> </s> <unk> <mask>, then 12 tokens of one or two bases.
VOCABULARY = Vocabulary(
    size=17,
    bos=0,
    eos=2,
    pad=1,
    mask=4,
    special=(0, 1, 2, 3, 4),
    token_bp=np.array([0, 0, 0, 1, 0] + [1, 2] * 6, dtype=np.int32),
)


# The same ids as byte pairs: the four bases, then eight tokens of two or three bases.
TOY_BPE = bpe_tokenizer(
    [
        ("A", "C"),
        ("G", "T"),
        ("A", "A"),
        ("C", "G"),
        ("T", "T"),
        ("AC", "A"),
        ("GT", "C"),
        ("T", "A"),
    ]
)


class ToyDocuments:
    """Documents in memory, with what batches ask of a split of a token store."""

    def __init__(self, documents: list[np.ndarray], dtype: type = np.uint16) -> None:
        self.lengths = np.array([len(x) for x in documents], dtype=np.int64)
        self.ends = np.cumsum(self.lengths)
        self._flat = np.concatenate(documents).astype(dtype)

    def tokens(self, start: int, stop: int) -> np.ndarray:
        return self._flat[start:stop]

    def document(self, index: int) -> np.ndarray:
        return self._flat[self.ends[index] - self.lengths[index] : self.ends[index]]


def make_documents(count: int, *, low: int = 3, high: int = 40, key: str = "toy") -> ToyDocuments:
    """Documents in which each token tends to follow the one before it by one."""
    rng = CounterRng(key)
    documents = []
    for length in rng.integers(low, high, count):
        steps = rng.choice([8, 1, 1], int(length)) + 1
        documents.append(5 + np.cumsum(steps) % 12)
    return ToyDocuments(documents)


def make_texts(count: int, *, low: int = 20, high: int = 70, key: str = "toy") -> list[str]:
    """Pieces of DNA of several lengths, in both cases, with an unknown letter here and there."""
    lengths = CounterRng(key, "lengths").integers(low, high, count)
    return [
        "".join("ACGTacgtNR"[i] for i in CounterRng(key, n).choice([9] * 8 + [1, 1], int(length)))
        for n, length in enumerate(lengths)
    ]


def make_pieces(texts: list[str]) -> ToyDocuments:
    """What a split of a letter store holds."""
    return ToyDocuments([np.frombuffer(text.encode(), np.uint8) for text in texts], np.uint8)


class ToySoftmask:
    """Every token whose number ends in 0, 1 or 2 is soft-masked."""

    def tokens(self, start: int, stop: int) -> np.ndarray:
        return np.arange(start, stop) % 10 < 3


def toy_plan(count: int, key: str, config: BatchConfig) -> Plan:
    """Rows of documents, or drawn from pieces of DNA; of two species."""
    species = np.arange(count) % 2
    if config.packing == "drawn":
        vocabulary = VOCABULARY._replace(token_bp=TOY_BPE.token_bp)
        pieces = make_pieces(make_texts(count, key=key))
        plan = DrawnRows(pieces, config, vocabulary, TOY_BPE, 0)
        counts = np.array(list(plan.count_windows()))
        return DrawnRows(pieces, config, vocabulary, TOY_BPE, 0, tokens=counts, species=species)
    soft = ToySoftmask() if config.softmask_weight != 1 else None
    documents = make_documents(count, key=key)
    return RowPlan(documents, config, VOCABULARY, 0, softmask=soft, species=species)


def toy_config(**changes: object) -> EncoderConfig:
    settings = {
        "vocab_size": 17,
        "hidden_size": 16,
        "num_layers": 2,
        "num_heads": 2,
        "intermediate_size": 32,
        "max_positions": 40,
        "pad_token_id": 1,
    }
    return EncoderConfig(**{**settings, **changes})


def toy_model(**changes: object) -> MaskedLM:
    config = toy_config(**changes)
    model = MaskedLM(config)
    initialise(model, config, torch.Generator().manual_seed(1))
    return model


TOY_TRAIN = {
    "steps": 12,
    "micro_rows": 4,
    "lr": 0.01,
    "warmup_steps": 2,
    "compile": False,
    "log_every": 2,
    "validate_every": 6,
    "validation_rows": 8,
    "checkpoint_every": 4,
    "num_workers": 0,
}


def toy_fit(
    output: Path,
    *,
    packing: str = "documents",
    model: MaskedLM | None = None,
    identity: dict[str, str] | None = None,
    progress=None,
    rows: int = 8,
    masking: MaskingConfig | dict[str, object] | None = {},  # noqa: B006
    bpe_dropout: float = 0.0,
    reverse_complement: float = 0.0,
    batch: dict[str, object] = {},  # noqa: B006
    **changes: object,
) -> TrainingResult:
    config = TrainConfig(**{**TOY_TRAIN, **changes})
    batches = BatchConfig(
        packing=packing,
        row_tokens=32,
        rows=rows,
        drawn_bp=40,
        jitter_bp=10,
        reverse_complement=reverse_complement,
        **batch,
    )
    check = batches.model_copy(
        update={"rows": config.micro_rows, "softmask_weight": 1.0, "order": "random", "stages": ()}
    )
    stages = [
        Stage(toy_plan(300, "toy", batches.at_stage(stage)), stage.steps)
        for stage in batches.stages
    ]
    output.mkdir(parents=True, exist_ok=True)
    return fit(
        model or toy_model(),
        train=toy_plan(300, "toy", batches),
        validation=toy_plan(60, "check", check),
        stages=stages,
        masking=None if masking is None else MaskingConfig.model_validate(masking),
        config=config,
        seed=3,
        output=output,
        save_tokenizer=lambda folder: (folder / "tokenizer.json").write_text("{}"),
        identity=identity or {"corpus": "c" * 64},
        dropout=row_dropout(TOY_BPE, bpe_dropout) if bpe_dropout else None,
        device="cpu",
        progress=progress,
    )
