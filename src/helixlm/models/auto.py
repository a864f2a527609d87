"""Our models in transformers: classes for its Auto classes, its Trainer and its pipelines.

In: a folder that helixlm wrote for an encoder that no class of transformers builds (DNABERT-2,
Nucleotide Transformer v2, GENA-LM, dnaGrinder, and whatever else `EncoderConfig` can say). Out: a
model of transformers, built by the very modules that train here. It is apart from the rest because
it imports transformers; stock kinds need nothing of it.

    import helixlm
    from transformers import AutoModelForMaskedLM, pipeline

    model = AutoModelForMaskedLM.from_pretrained("folder")
    fill = pipeline("fill-mask", model="folder")

``import helixlm`` is enough, before or after transformers, see `registration.py`.

Losses are those of transformers: -100 marks what is not to be predicted. (DNABERT-2's own code
leaves out labels of 0, its [UNK], too.)
"""

from typing import Any

from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    PretrainedConfig,
    PreTrainedModel,
    initialization,
)
from transformers.modeling_outputs import (
    BaseModelOutput,
    MaskedLMOutput,
    SequenceClassifierOutput,
)

from helixlm.models.config import EncoderConfig
from helixlm.models.dropout import draw_seed
from helixlm.models.encoder import Encoder
from helixlm.models.heads import MaskedHead, SequenceHead, mean_of_tokens
from helixlm.models.settings import config_from_hf


class HelixlmConfig(PretrainedConfig):
    """An `EncoderConfig` as transformers keeps one, by the same names, with labels and the like."""

    model_type = "helixlm"
    attribute_map = {  # noqa: RUF012  (transformers changes it)
        "num_hidden_layers": "num_layers",
        "num_attention_heads": "num_heads",
        "max_position_embeddings": "max_positions",
        "hidden_dropout_prob": "hidden_dropout",
        "attention_probs_dropout_prob": "attention_dropout",
    }

    @property
    def encoder(self) -> EncoderConfig:
        """The settings of the encoder, checked."""
        config = config_from_hf(self.to_dict())
        assert isinstance(config, EncoderConfig), "model_type helixlm is no HyenaDNA"
        return config


class HelixlmPreTrainedModel(PreTrainedModel):
    """What the three classes share: the encoder, and its head if it has one."""

    config_class = HelixlmConfig
    base_model_prefix = "helixlm"  # there is none: names are the same with and without a head
    _supports_sdpa = True

    def __init__(self, config: HelixlmConfig) -> None:
        super().__init__(config)
        self.encoder = Encoder(config.encoder)
        self._add_head(config)
        self.post_init()

    def _add_head(self, config: HelixlmConfig) -> None:
        """Put on what stands on the encoder."""

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, MaskedHead):
            initialization.zeros_(module.bias)

    def get_input_embeddings(self) -> nn.Module:
        """Return the token embedding."""
        return self.encoder.embeddings.word

    def _encode(
        self,
        input_ids_BL: Tensor,
        attention_mask_BL: Tensor | None,
        token_type_ids_BL: Tensor | None,
        output_hidden_states: bool | None,
    ) -> tuple[Tensor, tuple[Tensor, ...] | None]:
        """Return hidden vectors after the last layer, and if wanted those before each layer too."""
        eager = self.config._attn_implementation == "eager"
        self.encoder.attention_path = "reference" if eager else "sdpa"
        seen: list[Tensor] = []
        hooks = []
        if output_hidden_states is None:
            output_hidden_states = self.config.output_hidden_states
        if output_hidden_states:
            hooks = [
                layer.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
                for layer in self.encoder.layers
            ]
        try:
            last = self.encoder(
                input_ids_BL,
                attention_mask_BL=attention_mask_BL,
                token_type_ids_BL=token_type_ids_BL,
            )
        finally:
            for hook in hooks:
                hook.remove()
        return last, (*seen, last) if hooks else None

    def _as_object(self, return_dict: bool | None) -> bool:
        return self.config.return_dict if return_dict is None else return_dict


class HelixlmModel(HelixlmPreTrainedModel):
    """The encoder alone: token ids in, one vector a token out."""

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """Encode rows of tokens; arguments and result are those of transformers' encoders."""
        last, hidden = self._encode(input_ids, attention_mask, token_type_ids, output_hidden_states)
        output = BaseModelOutput(last_hidden_state=last, hidden_states=hidden)
        return output if self._as_object(return_dict) else output.to_tuple()


class HelixlmForMaskedLM(HelixlmPreTrainedModel):
    """The encoder with the head that predicts tokens, as `heads.MaskedLM`."""

    def _add_head(self, config: HelixlmConfig) -> None:
        self.lm_head = MaskedHead(config.encoder)

    def get_output_embeddings(self) -> nn.Module | None:
        """Return the decoder, unless it is the token embedding itself."""
        return self.lm_head.decoder

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """Predict tokens; arguments and result are those of transformers' masked models."""
        last, hidden = self._encode(input_ids, attention_mask, token_type_ids, output_hidden_states)
        logits = self.lm_head(last, self.encoder.embeddings.word.weight)
        loss = None
        if labels is not None:
            loss = self.loss_function(logits, labels, vocab_size=logits.shape[-1], **kwargs)
        output = MaskedLMOutput(loss=loss, logits=logits, hidden_states=hidden)
        return output if self._as_object(return_dict) else output.to_tuple()


class HelixlmForSequenceClassification(HelixlmPreTrainedModel):
    """The encoder with the head that classifies, as `heads.SequenceClassifier`."""

    def _add_head(self, config: HelixlmConfig) -> None:
        encoder = config.encoder
        dropout = getattr(config, "classifier_dropout", None)
        dropout = encoder.hidden_dropout if dropout is None else dropout
        self.num_labels = config.num_labels
        self.classifier = SequenceHead(encoder, config.num_labels, dropout)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """Classify sequences; arguments and result are those of transformers' classifiers."""
        last, hidden = self._encode(input_ids, attention_mask, token_type_ids, output_hidden_states)
        is_mean = self.encoder.config.pooling == "mean"
        pooled = mean_of_tokens(last, attention_mask) if is_mean else last[:, 0]
        seed = draw_seed(input_ids.device) if self.training else None
        logits = self.classifier(pooled, seed)
        loss = None
        if labels is not None:
            loss = self.loss_function(labels, logits, self.config, **kwargs)
        output = SequenceClassifierOutput(loss=loss, logits=logits, hidden_states=hidden)
        return output if self._as_object(return_dict) else output.to_tuple()


AutoConfig.register("helixlm", HelixlmConfig, exist_ok=True)
AutoModel.register(HelixlmConfig, HelixlmModel, exist_ok=True)
AutoModelForMaskedLM.register(HelixlmConfig, HelixlmForMaskedLM, exist_ok=True)
AutoModelForSequenceClassification.register(
    HelixlmConfig, HelixlmForSequenceClassification, exist_ok=True
)
