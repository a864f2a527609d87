"""What a recipe holds: one section for each component, checked together.

Each section is the configuration class that lives beside its component; here they are joined and
checked against each other. A recipe is frozen: overrides make a new one.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from helixlm.data.corpus.rows import VariantConfig
from helixlm.data.corpus.weights import WeightConfig
from helixlm.data.similarity.duplicates import DuplicateConfig
from helixlm.data.splits import SplitConfig
from helixlm.data.windows import TinyDnabertWindows, WindowConfig
from helixlm.models.config import EncoderConfig, EncoderShape
from helixlm.models.hyena_config import HyenaConfig, HyenaShape
from helixlm.tasks.config import FinetuneConfig
from helixlm.tokenizers.base import TokenizerConfig
from helixlm.train.batches import BatchConfig
from helixlm.train.config import TrainConfig
from helixlm.train.masking import MaskingConfig, overlap_problem


class EncoderModel(EncoderShape):
    """An encoder, without what the tokenizer decides; sizes that are left out are TinyDNABERT's."""

    hidden_size: int = 512
    num_layers: int = 6
    num_heads: int = 8
    intermediate_size: int = 2048
    max_positions: int = 514
    vocab_size: int | None = None
    """Rows of the token embedding; null: the tokenizer's. Nucleotide Transformer v1 has two fewer,
    as the last two of its tokens never occur."""
    pad_token_id: int | None = None
    """Padding id inside the model; null takes the tokenizer's. The published TinyDNABERT has 1
    here, which is </s> in its vocabulary."""

    def complete(self, *, vocab_size: int, pad_token_id: int, mask_token_id: int) -> EncoderConfig:
        """Join these settings with what the tokenizer decides.

        Raises
        ------
        ValueError
            If sizes do not fit each other.
        """
        settings = self.model_dump()
        if settings["pad_token_id"] is None:
            settings["pad_token_id"] = pad_token_id
        if settings["vocab_size"] is None:
            settings["vocab_size"] = vocab_size
        if self.token_dropout:
            settings["mask_token_id"] = mask_token_id
        return EncoderConfig(**settings)


class HyenaModel(HyenaShape):
    """A HyenaDNA, without what the tokenizer decides."""

    family: Literal["hyenadna"]
    vocab_multiple: int = Field(8, ge=1)
    """The vocabulary is filled up to a multiple of this."""

    def complete(self, *, vocab_size: int, pad_token_id: int, mask_token_id: int) -> HyenaConfig:
        """Join these settings with what the tokenizer decides; it has no use for the mask."""
        rows = -(-vocab_size // self.vocab_multiple) * self.vocab_multiple
        settings = self.model_dump(exclude={"vocab_multiple"})
        return HyenaConfig(vocab_size=rows, pad_token_id=pad_token_id, **settings)


def _with_family(values: Any) -> Any:
    """Let settings that name no family be an encoder's."""
    if isinstance(values, dict) and "family" not in values:
        return {"family": EncoderModel.model_fields["family"].default, **values}
    return values


ModelConfig = Annotated[
    EncoderModel | HyenaModel, Field(discriminator="family"), BeforeValidator(_with_family)
]
"""The `model` section of a recipe."""


class StartConfig(BaseModel):
    """What a run begins with, instead of fresh weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    """A run, a model folder, or a name on the Hugging Face hub; model and tokenizer of the recipe
    are then null, for they come with it."""
    continued: bool = False
    """Go on with a run: with its optimiser, and the schedule at the step where it is. Else the
    optimiser and the schedule begin afresh."""


class Recipe(BaseModel):
    """A complete configuration: from FASTA to a fine-tuned model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """What the recipe is called."""
    description: str = ""
    """What it makes, in a sentence."""
    seed: int = Field(0, ge=0)
    """Every random choice of a run follows from this number."""
    windows: WindowConfig = TinyDnabertWindows()
    weights: WeightConfig = WeightConfig()
    variants: VariantConfig = VariantConfig()
    duplicates: DuplicateConfig | None = None
    """Windows that repeat others are left out; null: none."""
    split: SplitConfig = SplitConfig()
    start: StartConfig | None = None
    """What training begins with; null: random weights."""
    tokenizer: TokenizerConfig | None = TokenizerConfig()
    """null where it comes with the model that training begins with."""
    batches: BatchConfig = BatchConfig()
    masking: MaskingConfig | None = MaskingConfig()
    """null: nothing is hidden, and each token is predicted from those before it (a causal model,
    such as HyenaDNA)."""
    model: ModelConfig | None = EncoderModel()
    """null: the recipe ends with the corpus and its tokenizer, and `pretrain` refuses it, unless
    there is a start."""
    train: TrainConfig = TrainConfig()
    finetune: FinetuneConfig = FinetuneConfig()

    @model_validator(mode="before")
    @classmethod
    def _start_brings_its_own(cls, values: Any) -> Any:
        """Leave out the sections whose place the start takes."""
        if isinstance(values, dict) and values.get("start") is not None:
            return {**values, "model": None, "tokenizer": None}
        return values

    @model_validator(mode="after")
    def _sections_fit(self) -> "Recipe":
        problems = [*self._model_problems(), *self._masking_problems(), *self._batch_problems()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _model_problems(self) -> Iterator[str]:
        """Say what does not fit the model."""
        if self.model is None:
            return
        try:
            whole = self.model.complete(vocab_size=1 << 30, pad_token_id=1, mask_token_id=2)
        except ValidationError as error:
            found = "; ".join(e["msg"].removeprefix("Value error, ") for e in error.errors())
            raise ValueError(f"model: {found}") from error
        most = whole.max_tokens
        if most is not None and self.batches.row_tokens > most:
            yield (
                f"batches.row_tokens {self.batches.row_tokens} is over the {most} "
                f"tokens that model.max_positions {self.model.max_positions} serves"
            )

    def _masking_problems(self) -> Iterator[str]:
        """Say what does not fit the objective."""
        if self.model is None:
            return
        if self.masking is None and self.model.family != "hyenadna":
            yield (
                f"masking null asks each token for the next, and model.family "
                f"{self.model.family!r} sees it: give masking.rate"
            )
        if self.masking is not None and self.model.family == "hyenadna":
            yield "model.family 'hyenadna' predicts the next token: set masking to null"
        if self.model.family == "hyenadna" and self.batches.packing not in ("single", "drawn"):
            yield (
                f"batches.packing {self.batches.packing!r} puts several documents into a row, and "
                "model.family 'hyenadna' would read them as one: set batches.packing to 'single'"
            )
        if self.masking is not None and self.tokenizer is not None:
            problem = overlap_problem(self.masking, self.tokenizer.overlap_bp)
            if problem is not None:
                yield problem

    def _batch_problems(self) -> Iterator[str]:
        """Say what does not fit the tokenizer, or the loop."""
        batches, tokenizer = self.batches, self.tokenizer
        if (self.model or self.start) and batches.rows % self.train.micro_rows:
            yield (
                f"batches.rows {batches.rows} is no multiple of train.micro_rows "
                f"{self.train.micro_rows}"
            )
        if tokenizer is None:
            if self.start is None:
                yield "tokenizer null, and no start that brings one: give tokenizer.kind"
            return
        if batches.bpe_dropout and tokenizer.kind != "bpe":
            yield (
                f"batches.bpe_dropout {batches.bpe_dropout} leaves out merges of byte pairs, "
                f"and tokenizer.kind {tokenizer.kind!r} has none: set batches.bpe_dropout to "
                f"0, or tokenizer.kind to 'bpe'"
            )
        if batches.bpe_dropout and tokenizer.special_order == "gena-lm":
            yield (
                f"batches.bpe_dropout {batches.bpe_dropout} encodes the bases of each token "
                "anew, and GENA-LM's gap stands for N without number: set batches.bpe_dropout to 0"
            )
        longest_bp = tokenizer.longest_token_bp
        room_bp = None
        if longest_bp is not None:
            overlap_bp = tokenizer.overlap_bp
            room_bp = batches.row_tokens * (longest_bp - overlap_bp) + overlap_bp
        if batches.packing == "drawn" and room_bp is not None and room_bp < batches.drawn_bp:
            yield (
                f"batches.row_tokens {batches.row_tokens} holds at most {room_bp:,} bp in tokens "
                f"of up to {longest_bp} bp, and drawn windows have {batches.drawn_bp:,}: raise "
                "batches.row_tokens, or lower batches.drawn_bp"
            )
