"""Fresh weights: one rule for every model, drawn from an explicit generator.

Linear and embedding weights are normal with the standard deviation `initializer_range`, biases
zero, LayerNorm weights one, the padding rows of embeddings zero: BERT's rule, as in transformers.
"""

import torch
from torch import Tensor, nn

from helixlm.models.config import EncoderConfig


@torch.no_grad()
def initialise(model: nn.Module, config: EncoderConfig, generator: torch.Generator) -> None:
    """Fill a model with fresh weights, in place.

    Parameters
    ----------
    model : nn.Module
        An encoder, a model with a head, or a head alone.
    config : EncoderConfig
        `initializer_range` is read.
    generator : torch.Generator
        A generator on the CPU. Numbers are drawn there in float32 and then moved, so the weights do
        not depend on the model's device.

    References
    ----------
    Devlin et al. (2019), google-research/bert ``create_initializer``, without its truncation at two
    standard deviations; transformers `PreTrainedModel._init_weights`.
    """

    def draw(weight: Tensor) -> None:
        fresh = torch.empty(weight.shape, dtype=torch.float32)
        weight.copy_(fresh.normal_(0.0, config.initializer_range, generator=generator))

    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            draw(module.weight)
        elif isinstance(module, nn.LayerNorm):
            module.weight.fill_(1.0)
        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
            module.weight[module.padding_idx].zero_()
        for name, parameter in module.named_parameters(recurse=False):
            if name == "bias":
                parameter.zero_()
