"""The encoder: what packing, padding, neighbours and selecting must not change, and positions."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helixlm.models.config import EncoderConfig
from helixlm.models.encoder import Encoder, LengthError, number_positions
from helixlm.models.init import initialise

FAMILIES = ["roberta", "bert"]
SIZES = {
    "vocab_size": 37,
    "hidden_size": 24,
    "num_layers": 2,
    "num_heads": 3,
    "intermediate_size": 40,
    "max_positions": 34,
    "initializer_range": 0.3,  # large, so that a wrong token shows
}


def make_encoder(family="roberta", pad_token_id=1, **changes):
    config = EncoderConfig(family=family, pad_token_id=pad_token_id, **{**SIZES, **changes})
    encoder = Encoder(config)
    initialise(encoder, config, torch.Generator().manual_seed(0))
    return encoder.eval()


def random_ids(*shape, low=2):
    return torch.randint(low, 37, shape, generator=torch.Generator().manual_seed(1))


def slow_positions(ids, documents, family, pad):
    """The rule, one token after the other."""
    rows, current, count = [], None, 0
    for token, document in zip(ids, documents, strict=True):
        if document != current:
            current, count = document, 0
        if document == 0:
            rows.append(pad if family == "roberta" else 0)
        elif family == "bert":
            rows.append(count)
            count += 1
        elif token == pad:
            rows.append(pad)
        else:
            count += 1
            rows.append(pad + count)
    return rows


@st.composite
def packed_row(draw):
    lengths = draw(st.lists(st.integers(1, 8), min_size=1, max_size=4))
    spare = draw(st.integers(0, 5))
    documents = [k + 1 for k, length in enumerate(lengths) for _ in range(length)] + [0] * spare
    ids = draw(st.lists(st.integers(0, 36), min_size=len(documents), max_size=len(documents)))
    return ids, documents


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("pad", [0, 1, 3])
@settings(deadline=None, max_examples=60)
@given(row=packed_row())
def test_positions_follow_the_rule(family, pad, row):
    ids, documents = row
    config = EncoderConfig(family=family, pad_token_id=pad, **SIZES)
    found = number_positions(torch.tensor([ids]), torch.tensor([documents]), config)
    assert found[0].tolist() == slow_positions(ids, documents, family, pad)
    alone = number_positions(torch.tensor([ids]), None, config)
    assert alone[0].tolist() == slow_positions(ids, [1] * len(ids), family, pad)


@pytest.mark.parametrize("path", ["sdpa", "reference"])
@pytest.mark.parametrize(("family", "pad"), [("roberta", 1), ("bert", 0)])
@settings(deadline=None, max_examples=25)
@given(row=packed_row())
def test_a_packed_document_gets_what_it_gets_alone(path, family, pad, row):
    # Token ids include the padding id, as in the published TinyDNABERT, where it is </s>.
    ids_BL, documents_BL = (torch.tensor([part]) for part in row)
    encoder = make_encoder(family, pad)
    encoder.attention_path = path
    with torch.no_grad():
        packed = encoder(ids_BL, document_ids_BL=documents_BL)[0]
        for document in range(1, max(row[1]) + 1):
            here = documents_BL[0] == document
            alone = encoder(ids_BL[:, here])[0]
            torch.testing.assert_close(packed[here], alone, rtol=0, atol=1e-5)
    assert packed.isfinite().all()


@pytest.mark.parametrize("family", FAMILIES)
def test_neighbours_change_nothing(family):
    encoder, ids = make_encoder(family), random_ids(2, 30)
    documents = torch.tensor([[1] * 9 + [2] * 12 + [0] * 9, [1] * 30])
    before = encoder(ids, document_ids_BL=documents)
    changed = ids.clone()
    changed[0, :9] = 36
    changed[0, 21:] = 7
    changed[1] = 5
    after = encoder(changed, document_ids_BL=documents)
    torch.testing.assert_close(before[0, 9:21], after[0, 9:21], rtol=0, atol=1e-6)
    assert (before[0, :9] - after[0, :9]).abs().max() > 0.1


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_and_batch_change_nothing(family):
    encoder, ids = make_encoder(family), random_ids(3, 30)
    lengths = [30, 11, 1]
    mask = torch.zeros(3, 30, dtype=torch.int64)
    for row, length in enumerate(lengths):
        mask[row, :length] = 1
        ids[row, length:] = encoder.config.pad_token_id
    padded = encoder(ids, attention_mask_BL=mask)
    for row, length in enumerate(lengths):
        alone = encoder(ids[row : row + 1, :length])[0]
        torch.testing.assert_close(padded[row, :length], alone, rtol=0, atol=1e-5)


def test_a_row_of_padding_alone_is_finite():
    encoder = make_encoder()
    ids = torch.ones(2, 8, dtype=torch.int64)
    for mask in ({"attention_mask_BL": ids * 0}, {"document_ids_BL": ids * 0}):
        out = encoder(ids, **mask)
        out.sum().backward()
        assert out.isfinite().all()
        assert all(p.grad is None or p.grad.isfinite().all() for p in encoder.parameters())


@pytest.mark.parametrize("family", FAMILIES)
def test_selected_tokens_get_the_same_output_and_gradients(family):
    ids = random_ids(3, 30)
    documents = torch.tensor([[1] * 9 + [2] * 12 + [0] * 9, [1] * 30, [1] * 15 + [2] * 15])
    index = torch.tensor([0, 4, 12, 30, 59, 74, 76, 4])  # one comes twice
    encoder = make_encoder(family)
    weight = torch.randn(8, 24, generator=torch.Generator().manual_seed(2))
    results = []
    for select in (True, False):
        encoder.zero_grad()
        if select:
            out = encoder(ids, document_ids_BL=documents, select_index_M=index)
        else:
            out = encoder(ids, document_ids_BL=documents).flatten(0, 1)[index]
        (out * weight).mean().backward()
        results.append((out, [p.grad for p in encoder.parameters() if p.grad is not None]))
    torch.testing.assert_close(*results, rtol=0, atol=1e-6)


def test_attention_paths_agree():
    ids = random_ids(2, 30)
    documents = torch.tensor([[1] * 9 + [2] * 12 + [0] * 9, [1] * 30])
    encoder = make_encoder()
    results = []
    for path in ("sdpa", "reference"):
        encoder.attention_path = path
        encoder.zero_grad()
        out = encoder(ids, document_ids_BL=documents)[documents > 0]
        out.square().mean().backward()
        results.append((out, [p.grad for p in encoder.parameters()]))
    torch.testing.assert_close(*results, rtol=0, atol=1e-5)


@pytest.mark.parametrize("rates", [(0.3, 0.0), (0.0, 0.3)])
def test_dropout_only_in_training_and_from_the_seed(rates):
    encoder, ids = (
        make_encoder(hidden_dropout=rates[0], attention_dropout=rates[1]),
        random_ids(2, 9),
    )
    plain = encoder(ids)
    torch.testing.assert_close(plain, make_encoder()(ids))
    encoder.train()
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(encoder(ids))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert not torch.equal(draws[0], plain)


def test_a_row_that_is_too_long_is_refused():
    encoder = make_encoder()
    assert encoder(random_ids(1, 32)).shape == (1, 32, 24)
    with pytest.raises(LengthError, match=r"a row has 33 tokens.*has positions for 32"):
        encoder(random_ids(1, 33))
    # A packed row may be longer than any document in it.
    documents = torch.tensor([[1] * 20 + [2] * 20])
    assert encoder(random_ids(1, 40), document_ids_BL=documents).shape == (1, 40, 24)


def test_two_masks_are_refused():
    ids = random_ids(1, 5)
    with pytest.raises(ValueError, match="attention_mask_BL or document_ids_BL, not both"):
        make_encoder()(ids, attention_mask_BL=ids, document_ids_BL=ids)
