"""Counting baselines against their definitions written slowly, and against what they must do."""

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from helixlm.train.baselines import counting_baselines, standard_error
from helixlm.train.batches import BatchConfig
from helixlm.train.masking import MaskingConfig
from helixlm.train.packing import RowPlan
from helixlm.train.stream import TrainingStream

from .toy import VOCABULARY, ToyDocuments, make_documents

CHECK = BatchConfig(row_tokens=32, rows=4)
MASKING = MaskingConfig()


def validation_batches(documents, packing="documents", masking=MASKING, count=6):
    config = CHECK.model_copy(update={"packing": packing})
    stream = TrainingStream(
        RowPlan(documents, config, VOCABULARY, 0), masking, seed=1, micro_rows=4
    )
    return [stream[step] for step in range(count)]


def score(train, batches, masking=MASKING, **settings):
    return counting_baselines(train, batches, vocabulary=VOCABULARY, masking=masking, **settings)


def slow_scores(train, batches, pair_weight, triple_weight, others=False):
    """Both baselines with dictionaries, one masked token at a time.

    With `others` a random token is one of the 11 that are not the true one.
    """
    single, after, before, between = Counter(), Counter(), Counter(), Counter()
    for index in range(len(train.lengths)):
        ids = [0, *train.document(index).tolist(), 2]
        for left, token, right in zip(ids, ids[1:], ids[2:], strict=False):
            if token == 3:  # <unk> is never asked for
                continue
            single[token] += 1
            after[left, token] += 1
            before[right, token] += 1
            between[left, right, token] += 1
    regular = range(5, 17)
    p1 = {t: (single[t] + 1) / (sum(single.values()) + 12) for t in regular}

    def mix(counts, prior, weight):
        total = sum(counts.values()) + weight
        return {t: (counts[t] + weight * prior[t]) / total for t in regular}

    def given(left, right):
        """The token between two neighbours that are known for sure; 4 is the mask token."""
        pl = p1 if left == 4 else mix({t: after[left, t] for t in regular}, p1, pair_weight)
        pr = p1 if right == 4 else mix({t: before[right, t] for t in regular}, p1, pair_weight)
        both = {t: pl[t] * pr[t] / p1[t] for t in regular}
        p2 = {t: both[t] / sum(both.values()) for t in regular}
        seen = 4 not in (left, right)
        return mix({t: between[left, right, t] if seen else 0 for t in regular}, p2, triple_weight)

    def readings(shown):
        """What a shown neighbour can be: itself, or anything, if it was put there at random."""
        if shown < 5:
            return [(shown, 1.0)]
        random, true = 0.15 * 0.1 / 12, p1[shown] * (1 - 0.15 * 0.9)
        if others:
            random = 0.15 * 0.1 * (1 - p1[shown]) / 11
        return [(shown, true / (random + true)), (4, random / (random + true))]

    sums, num, bases = np.zeros(4), 0, 0
    for batch in batches:
        for micro in batch.micro:
            ids_BL, documents_BL = micro.input_ids_BL.tolist(), micro.document_ids_BL.tolist()
            slots = zip(micro.masked_index_M.tolist(), micro.labels_M.tolist(), strict=True)
            for flat, true in slots:
                if true < 0:
                    continue
                b, at = divmod(flat, 32)
                ids, documents = ids_BL[b], documents_BL[b]
                assert documents[at - 1] == documents[at] == documents[at + 1]  # <s>, </s>
                p3 = dict.fromkeys(regular, 0.0)
                for left, left_share in readings(ids[at - 1]):
                    for right, right_share in readings(ids[at + 1]):
                        for t, p in given(left, right).items():
                            p3[t] += left_share * right_share * p
                for k, p in enumerate((p1, p3)):
                    told = dict(p)
                    if ids[at] != 4:  # 10 % unchanged, 10 % one of 12 at random
                        told = {t: p[t] * (0.1 * (t == ids[at]) + 0.1 / 12) for t in regular}
                        if others:
                            told = {t: p[t] * (0.1 if t == ids[at] else 0.1 / 11) for t in regular}
                        told = {t: x / sum(told.values()) for t, x in told.items()}
                    sums[2 * k] -= math.log(told[true])
                    sums[2 * k + 1] += max(told, key=told.get) == true
                num += 1
                bases += int(VOCABULARY.token_bp[true])
    return sums / num, sums[[0, 2]] / math.log(2) / bases


def with_unknown(documents):
    """Put <unk> in place of every seventh token."""
    texts = [documents.document(i).copy() for i in range(len(documents.lengths))]
    for text in texts:
        text[::7] = 3
    return ToyDocuments(texts)


@pytest.mark.parametrize("changed", [lambda documents: documents, with_unknown])
@pytest.mark.parametrize("random_tokens", ["any", "other"])
def test_scores_are_those_of_the_definition(random_tokens, changed):
    masking = MaskingConfig(random_tokens=random_tokens)
    train = changed(make_documents(200))
    batches = validation_batches(changed(make_documents(40, key="check")), masking=masking)
    found = score(train, batches, masking)
    (u_loss, u_accuracy, n_loss, n_accuracy), bits = slow_scores(
        train, batches, found.pair_weight, found.triple_weight, random_tokens == "other"
    )
    assert found.unigram.loss == pytest.approx(u_loss, rel=1e-9)
    assert found.unigram.accuracy == pytest.approx(u_accuracy)
    assert found.neighbour.loss == pytest.approx(n_loss, rel=1e-9)
    assert found.neighbour.accuracy == pytest.approx(n_accuracy)
    assert [found.unigram.bits_per_base, found.neighbour.bits_per_base] == pytest.approx(bits)


@pytest.mark.parametrize("packing", ["documents", "concatenate"])
def test_where_the_next_token_is_asked_the_one_before_is_all_that_is_known(packing):
    train = make_documents(200)
    batches = validation_batches(make_documents(40, key="check"), packing, masking=None)
    found = score(train, batches, None)
    single, after = Counter(), Counter()
    for index in range(len(train.lengths)):
        ids = [0, *train.document(index).tolist()]
        single.update(ids[1:])
        after.update(pairwise(ids))
    regular = range(5, 17)
    p1 = {t: (single[t] + 1) / (sum(single.values()) + 12) for t in regular}
    losses, num = np.zeros(2), 0
    for micro in (micro for batch in batches for micro in batch.micro):
        ids = micro.input_ids_BL.flatten().tolist()
        slots = zip(micro.masked_index_M.tolist(), micro.labels_M.tolist(), strict=True)
        for at, true in slots:
            if true < 0:
                continue
            assert ids[at + 1] == true
            total = sum(after[ids[at], t] for t in regular) + found.pair_weight
            p2 = (after[ids[at], true] + found.pair_weight * p1[true]) / total
            losses -= math.log(p1[true]), math.log(p2)
            num += 1
    assert [found.unigram.loss, found.neighbour.loss] == pytest.approx(losses / num, rel=1e-9)
    assert found.neighbour.loss < 0.75 * found.unigram.loss


def test_neighbours_tell_where_each_token_follows_the_one_before():
    found = score(make_documents(300), validation_batches(make_documents(60, key="check")))
    assert found.neighbour.loss < 0.75 * found.unigram.loss
    assert found.neighbour.accuracy > found.unigram.accuracy + 0.3


def test_neighbours_of_independent_tokens_tell_nothing():
    rng = np.random.default_rng(0)
    train = ToyDocuments([rng.integers(5, 17, 30) for _ in range(400)])
    check = ToyDocuments([rng.integers(5, 17, 30) for _ in range(60)])
    masking = MaskingConfig(mask_share=1.0, random_share=0.0)
    found = score(train, validation_batches(check, masking=masking), masking=masking)
    assert found.unigram.loss == pytest.approx(math.log(12), abs=0.01)
    # The fitted back-off keeps counting noise from doing harm.
    assert found.neighbour.loss == pytest.approx(math.log(12), abs=0.02)


def test_rows_cut_inside_documents_are_scored_too():
    batches = validation_batches(make_documents(60, key="check"), packing="concatenate")
    found = score(make_documents(300), batches)
    assert found.neighbour.loss < 0.75 * found.unigram.loss


def test_counting_can_be_capped(caplog):
    batches = validation_batches(make_documents(40, key="check"))
    with caplog.at_level("INFO"):
        capped = score(make_documents(300), batches, max_tokens=2000)
    assert "counting every" in caplog.text
    assert capped.unigram.loss != score(make_documents(300), batches).unigram.loss


def test_a_single_document_is_enough():
    train, batches = make_documents(1), validation_batches(make_documents(40, key="check"))
    found = score(train, batches)
    (u_loss, _, n_loss, _), _ = slow_scores(train, batches, found.pair_weight, found.triple_weight)
    assert found.unigram.loss == pytest.approx(u_loss, rel=1e-9)
    assert found.neighbour.loss == pytest.approx(n_loss, rel=1e-9)


def test_sums_of_batches_add_up():
    batches = validation_batches(make_documents(60, key="check"))
    for found in score(make_documents(300), batches)[:2]:
        assert len(found.batch_losses) == len(batches)
        masked = sum(batch.num_masked for batch in batches)
        assert sum(found.batch_losses) / masked == pytest.approx(found.loss)


def test_the_error_of_a_difference_is_how_much_it_varies():
    rng = np.random.default_rng(0)
    found, errors = [], []
    for _ in range(400):
        masked = rng.integers(20, 60, 30)
        # A batch is harder for both by what it holds; the model is 0.1 better on average.
        hard = masked * rng.normal(3.0, 0.5, 30)
        model = hard + rng.normal(-0.1, 0.2, 30) * masked
        found.append((model - hard).sum() / masked.sum())
        errors.append(standard_error(model, hard, masked))
    assert np.mean(errors) == pytest.approx(np.std(found), rel=0.1)
    assert standard_error(hard, hard + masked, masked) == pytest.approx(0, abs=1e-12)
    assert standard_error(hard[:1], hard[:1], masked[:1]) is None
