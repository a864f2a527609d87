"""Local initialisation: what attention sees at the start and what the head says."""

import math

import numpy as np
import pytest
import torch

from helixlm.models.config import EncoderConfig
from helixlm.models.encoder import View
from helixlm.models.heads import MaskedLM
from helixlm.models.init import begin_at_frequencies, initialise
from helixlm.models.settings import config_from_hf, config_to_hf

LETTERS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *"ACGT"]
SPELLING = [*LETTERS, *(a + b + c + d for a in "ACGT" for b in "ACGT" for c in "AG" for d in "CT")]


def fresh(spelling=SPELLING, **changes):
    settings = {
        "vocab_size": len(SPELLING),
        "hidden_size": 96,
        "num_layers": 2,
        "num_heads": 3,
        "intermediate_size": 64,
        "max_positions": 130,
        "pad_token_id": 1,
        "initializer_range": 0.05,
        "initialisation": "local",
    }
    config = EncoderConfig(**{**settings, **changes})
    model = MaskedLM(config)
    initialise(model, config, torch.Generator().manual_seed(0), spelling)
    return model.eval()


def random_ids(rows=4, tokens=120):
    return torch.randint(
        5, len(SPELLING), (rows, tokens), generator=torch.Generator().manual_seed(1)
    )


def attention_by_offset(model, layer, ids_BL, heads=3):
    """Mean attention weight of each head by offset, from the definition of attention."""
    encoder = model.encoder
    with torch.no_grad():
        hidden = encoder.embeddings(ids_BL, None, None, None, None)
        for before in encoder.layers[:layer]:
            hidden = before(hidden, View(None, None), "sdpa", None)
        q, k, _ = encoder.layers[layer].qkv(hidden).chunk(3, dim=-1)
        q, k = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k))
        weight = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1).mean(0)
    return [
        {o: weight[head].diagonal(o).mean().item() for o in range(-20, 21)} for head in range(heads)
    ]


@pytest.mark.parametrize("family", ["roberta", "bert"])
@pytest.mark.parametrize(("layer", "offsets"), [(0, (-1, 1, -2)), (1, (1, -1, 2))])
def test_each_head_begins_at_its_neighbour(family, layer, offsets):
    found = attention_by_offset(fresh(family=family), layer, random_ids())
    for by_offset, expected in zip(found, offsets, strict=True):
        assert max(by_offset, key=by_offset.get) == expected
        assert by_offset[expected] > (0.8 if layer == 0 else 0.3)


def test_without_it_attention_begins_uniform():
    for by_offset in attention_by_offset(fresh(initialisation="normal"), 0, random_ids()):
        assert max(by_offset.values()) < 2 / 120


def test_a_shown_token_is_what_is_predicted():
    ids = random_ids()
    with torch.no_grad():
        said = {kind: fresh(initialisation=kind)(ids) for kind in ("local", "normal")}
    right = {kind: (logits.argmax(-1) == ids).float().mean() for kind, logits in said.items()}
    assert right["local"] > 0.9
    assert right["normal"] < 0.3


def test_tokens_that_are_spelled_alike_begin_alike():
    word = torch.nn.functional.normalize(fresh().encoder.embeddings.word.weight.detach(), dim=1)
    likeness = word @ word.T
    of = SPELLING.index
    alike = likeness[of("AAAC"), of("AAAT")].item()
    other = likeness[of("AAAC"), of("TTGT")].item()
    assert alike > 0.4 > 0.3 > abs(other)
    blank = fresh(spelling=()).encoder.embeddings.word.weight
    assert (
        torch.nn.functional.cosine_similarity(blank[of("AAAC")], blank[of("AAAT")], dim=0).abs()
        < 0.35
    )


def test_sizes_and_zeros():
    embeddings = fresh().encoder.embeddings
    word, position = embeddings.word.weight.detach(), embeddings.position.weight.detach()
    carried = position.abs().sum(0) > 0
    assert carried.sum() == 24  # a quarter of the width
    assert word[:, carried].abs().max() == 0
    # A sum over the letters has, in the rest of the width, the variance of every other row.
    rms = word[5:, ~carried].pow(2).mean().sqrt().item()
    assert rms == pytest.approx(0.05, rel=0.15)
    length = [x[5:].pow(2).sum(1).mean().item() for x in (word, position)]
    assert length[0] == pytest.approx(length[1], rel=0.3)
    assert word[1].abs().max() == position[1].abs().max() == 0
    bert = fresh(family="bert").encoder.embeddings.position.weight
    assert bert.abs().sum(1).min() > 0


def test_the_bias_begins_at_the_frequencies():
    head = fresh().head
    counts = np.arange(len(SPELLING), dtype=np.int64)
    begin_at_frequencies(head, counts)
    says = head.bias.detach().softmax(0)
    assert says[7].item() == pytest.approx(8 / (counts + 1).sum())
    assert head.bias[0].item() == pytest.approx(-math.log((counts + 1).sum()))


def test_the_same_seed_gives_the_same_weights_and_the_choice_is_kept():
    one, two = fresh().state_dict(), fresh().state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert config_from_hf(config_to_hf(fresh().config)).initialisation == "local"
