"""How a model knows positions: rows of an embedding, turned queries and keys, or lowered scores.

Comes in: token ids and a configuration, or lengths. Goes out: numbers of position rows, tables of
cosines and sines, or a bias of the scores. Rotary positions and ALiBi depend on distances alone,
so that documents packed into one row need no numbering of their own.

Shape letters: B rows, L tokens in a row, H heads, D width of a head.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from helixlm.models.config import EncoderConfig


def number_positions(
    input_ids_BL: Tensor, document_ids_BL: Tensor | None, config: EncoderConfig
) -> Tensor:
    """Return the position row of every token.

    BERT numbers the tokens of a document from 0. RoBERTa and ESM leave out tokens with the id
    `pad_token_id`, number the others from ``pad_token_id + 1``, and give those left out the row
    `pad_token_id`. Where that id is a real token, as ``</s>`` in the published TinyDNABERT, the
    rule holds all the same.

    Parameters
    ----------
    input_ids_BL : Tensor, int64, shape (B, L)
        Token ids.
    document_ids_BL : Tensor, int, shape (B, L), optional
        Documents of packed rows, in order; positions restart at each. None: one a row.
    config : EncoderConfig
        `family` and `pad_token_id` are read.

    Returns
    -------
    Tensor, int64, shape (B, L)
        Rows of the position embedding.

    References
    ----------
    transformers `RobertaEmbeddings.create_position_ids_from_input_ids`, after fairseq.
    """
    skips_padding = config.family in ("roberta", "esm")
    if skips_padding:
        counted_BL = (input_ids_BL != config.pad_token_id).long()
    else:
        counted_BL = torch.ones_like(input_ids_BL)
    count_BL = counted_BL.cumsum(1)  # tokens counted so far, this one included
    if document_ids_BL is not None:
        before = F.pad(document_ids_BL[:, :-1], (1, 0), value=-1)
        earlier_BL = (count_BL - counted_BL) * (document_ids_BL != before)
        # The count at a document's start holds until the next start, as it never falls.
        count_BL = count_BL - earlier_BL.cummax(1).values
        counted_BL = counted_BL * (document_ids_BL > 0)
    if skips_padding:
        return count_BL * counted_BL + config.pad_token_id
    return (count_BL - 1) * counted_BL


def rotary_tables(num_tokens: int, head_width: int, base: float, device: torch.device) -> Tensor:
    """Return the cosines and sines that turn queries and keys.

    Pair i of dimensions (i and i + D/2) of the token at position p turns by
    ``p * base ** (-2i / D)`` radians.

    Parameters
    ----------
    num_tokens, head_width : int
        L and D.
    base : float
        The longest wavelength is close to ``2 pi base`` tokens.
    device : torch.device
        Where they are needed.

    Returns
    -------
    Tensor, float32, shape (2, L, D)
        Cosines, then sines; the second half of D repeats the first.

    References
    ----------
    Su et al. (2021), RoFormer, arXiv 2104.09864, with pairs half a head apart as in GPT-NeoX, ESM
    and ModernBERT.
    """
    frequency = rotary_frequencies(head_width, base).to(device)
    place = torch.arange(num_tokens, dtype=torch.float32, device=device)
    angle = (place[:, None] * frequency).repeat(1, 2)
    return torch.stack([angle.cos(), angle.sin()])


def rotary_frequencies(head_width: int, base: float) -> Tensor:
    """Return by how many radians a token each pair of dimensions turns, float32, shape (D / 2,)."""
    pair = torch.arange(0, head_width, 2, dtype=torch.float32)
    return 1.0 / base ** (pair / head_width)


def turn(values_BHLD: Tensor, rotary_2LD: Tensor) -> Tensor:
    """Turn queries or keys by their positions, in float32; see `rotary_tables`."""
    cos_LD, sin_LD = rotary_2LD
    first, second = values_BHLD.float().chunk(2, dim=-1)
    turned = torch.cat([-second, first], dim=-1)
    return (values_BHLD * cos_LD + turned * sin_LD).to(values_BHLD.dtype)


def alibi_slopes(num_heads: int) -> list[float]:
    """Return the slope of each head: how much a token of distance lowers its scores.

    For a power of two they fall as 2^(-8/n), 2^(-16/n), ...; any other number takes those of the
    next lower power, then every other one of the next higher.

    References
    ----------
    Press et al. (2022), Train short, test long, ICLR; `get_slopes` of
    ofirpress/attention_with_linear_biases, as DNABERT-2 has it.

    Examples
    --------
    >>> [round(slope, 4) for slope in alibi_slopes(6)]
    [0.25, 0.0625, 0.0156, 0.0039, 0.5, 0.125]
    """
    power = 2 ** math.floor(math.log2(num_heads))
    slopes = [2.0 ** (-8.0 * (i + 1) / power) for i in range(power)]
    if power < num_heads:
        slopes += alibi_slopes(2 * power)[0::2][: num_heads - power]
    return slopes


def alibi_bias(num_tokens: int, num_heads: int, device: torch.device) -> Tensor:
    """Return what is added to scores: ``-slope * |i - j|``, float32, shape (H, L, L).

    References
    ----------
    The symmetric form of ofirpress/attention_with_linear_biases issue 5, for encoders.
    """
    place = torch.arange(num_tokens, device=device)
    distance_LL = (place[:, None] - place).abs()
    slope_H = torch.tensor(alibi_slopes(num_heads), dtype=torch.float32, device=device)
    return -slope_H[:, None, None] * distance_LL


def window_mask(num_tokens: int, window: int, device: torch.device) -> Tensor:
    """Let every query see the tokens at most `window` away; bool, shape (L, L)."""
    place = torch.arange(num_tokens, device=device)
    return (place[:, None] - place).abs() <= window
