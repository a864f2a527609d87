"""What a trained model says of sequences: `load` it, then ask, in memory or from file to file."""

from helixlm.inference.device import resolve_device
from helixlm.inference.files import Predicted, predict
from helixlm.inference.loading import LoadedModel, load
from helixlm.inference.masked import MaskedProbabilities, masked_probabilities
from helixlm.inference.rows import classify, encode_rows, evaluating, pad_rows

__all__ = [
    "LoadedModel",
    "MaskedProbabilities",
    "Predicted",
    "classify",
    "encode_rows",
    "evaluating",
    "load",
    "masked_probabilities",
    "pad_rows",
    "predict",
    "resolve_device",
]
