"""What counting alone can predict: two baselines for the masked tokens of the validation rows.

Comes in: the training split of a token store and the very batches that the model is validated
on. Goes out: the loss and accuracy of predicting each masked token

- from how often each token occurs (unigram), and
- from its left and right neighbour in the row that the model sees, with back-off to one
  neighbour and to none where a neighbour is hidden or a pair was never seen. Where each token is
  asked for the next one, its left neighbour is all that is known.

Both are told what the model is told. A position that is asked for but does not show the mask
token shows either the true token or a random one, and so may a neighbour, which can be one of the
tokens that masking replaced; Bayes' rule says how far to believe what is shown.
A language model that does not beat the second has learned no more than counting teaches.

Shape letters: M masked tokens, V vocabulary size, X = V + 1 contexts (the last: nothing there).
"""

import logging
import math
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from helixlm.train.batches import Documents, StepBatch, Vocabulary
from helixlm.train.masking import MaskingConfig, masked_share, replacements

logger = logging.getLogger(__name__)

MAX_TOKENS = 50_000_000
"""Training tokens that are counted at most; evenly spaced documents are taken above it."""

HELD_OUT = 20
"""Every 20th training document is kept from the counts while the weights of the back-off are
fitted, then counted too."""

FIT_POSITIONS = 4096
CHUNK = 1024

WEIGHTS = (0.5, 2.0, 8.0, 32.0, 128.0, 512.0, 2048.0, 8192.0)
"""Pseudo-counts tried for the back-off distributions."""


class Triples(NamedTuple):
    """Tokens with their neighbours; V stands for a neighbour that is not there."""

    left_N: NDArray[np.int64]
    token_N: NDArray[np.int64]
    right_N: NDArray[np.int64]


class BaselineScore(NamedTuple):
    """Score of one baseline on the masked tokens."""

    loss: float
    """Mean -ln p(true token), in nats."""
    accuracy: float
    bits_per_base: float
    batch_losses: tuple[float, ...]
    """Summed -ln p(true token) of each batch: to compare a model on the same batches."""


class Baselines(NamedTuple):
    """Scores of both baselines, and the pseudo-counts that were fitted."""

    unigram: BaselineScore
    neighbour: BaselineScore
    pair_weight: float
    triple_weight: float


class _Counts(NamedTuple):
    """Counts of tokens, of pairs and of triples."""

    unigram_V: NDArray[np.float64]
    after_XV: sp.csr_matrix
    """after[l, t]: how often t stands right of l."""
    before_XV: sp.csr_matrix
    """before[r, t]: how often t stands left of r."""
    context_keys: NDArray[np.int64]
    """Sorted pairs l * X + r that were seen around a token."""
    between_KV: sp.csr_matrix
    """between[k, t]: how often t stands inside pair k."""


def _triples(documents: Documents, chosen: NDArray[np.int64], vocabulary: Vocabulary) -> Triples:
    """Collect each token of the chosen documents with its neighbours."""
    nothing = vocabulary.size
    bos = nothing if vocabulary.bos is None else vocabulary.bos
    eos = nothing if vocabulary.eos is None else vocabulary.eos
    left, token, right = [], [], []
    for document in chosen:
        end = int(documents.ends[document])
        ids = documents.tokens(end - int(documents.lengths[document]), end).astype(np.int32)
        if len(ids) == 0:
            continue
        token.append(ids)
        left.append(np.concatenate([[bos], ids[:-1]]).astype(np.int32))
        right.append(np.concatenate([ids[1:], [eos]]).astype(np.int32))
    if not token:
        empty = np.zeros(0, dtype=np.int64)
        return Triples(empty, empty, empty)
    return Triples(*(np.concatenate(x).astype(np.int64) for x in (left, token, right)))


def _count(triples: Triples, vocabulary: Vocabulary, asked: NDArray[np.int64]) -> _Counts:
    size = vocabulary.size
    contexts = size + 1
    # Special tokens, such as that of unknown letters, are neighbours, but are never asked for.
    asked_N = np.isin(triples.token_N, vocabulary.regular).astype(np.float64)
    keys = triples.left_N * contexts + triples.right_N
    context_keys, row = np.unique(keys, return_inverse=True)
    unigram = np.bincount(triples.token_N, minlength=size).astype(np.float64)
    unigram += 1.0  # Laplace: no token that may be asked for is impossible.
    unigram[np.setdiff1d(np.arange(size), asked)] = 0.0
    shape = (contexts, size)
    return _Counts(
        unigram,
        sp.csr_matrix((asked_N, (triples.left_N, triples.token_N)), shape=shape),
        sp.csr_matrix((asked_N, (triples.right_N, triples.token_N)), shape=shape),
        context_keys,
        sp.csr_matrix((asked_N, (row, triples.token_N)), shape=(len(context_keys), size)),
    )


def _smoothed(
    counts_MV: NDArray[np.float64], prior_MV: NDArray[np.float64], weight: float
) -> NDArray[np.float64]:
    """Mix counts with a prior that is worth `weight` observations (Dirichlet smoothing)."""
    return (counts_MV + weight * prior_MV) / (counts_MV.sum(1, keepdims=True) + weight)


def _predict(
    counts: _Counts,
    left_M: NDArray[np.int64],
    right_M: NDArray[np.int64],
    hidden: tuple[int, ...],
    pair_weight: float,
    triple_weight: float,
) -> NDArray[np.float64]:
    """Return p(token | neighbours), float64, shape (M, V)."""
    contexts = counts.after_XV.shape[0]
    prior_V = counts.unigram_V / counts.unigram_V.sum()
    prior_MV = np.broadcast_to(prior_V, (len(left_M), len(prior_V)))
    known_left = ~np.isin(left_M, hidden)
    known_right = ~np.isin(right_M, hidden)
    from_left = _smoothed(
        counts.after_XV[left_M].toarray() * known_left[:, None], prior_MV, pair_weight
    )
    from_right = _smoothed(
        counts.before_XV[right_M].toarray() * known_right[:, None], prior_MV, pair_weight
    )
    # Both neighbours as if independent given the token: p(t|l) p(t|r) / p(t), normalised.
    pair_MV = from_left * from_right / np.maximum(prior_V, 1e-300)
    pair_MV /= pair_MV.sum(1, keepdims=True)
    keys = left_M * contexts + right_M
    at = np.minimum(np.searchsorted(counts.context_keys, keys), len(counts.context_keys) - 1)
    seen = (counts.context_keys[at] == keys) & known_left & known_right
    return _smoothed(counts.between_KV[at].toarray() * seen[:, None], pair_MV, triple_weight)


def _doubt(
    shown_M: NDArray[np.int64],
    prior_V: NDArray[np.float64],
    vocabulary: Vocabulary,
    masking: MaskingConfig,
) -> NDArray[np.float64]:
    """Return the probability that a neighbour is a random token, given what it shows, (M, 1).

    A token is shown as it is with weight p(x) * (1 - rate * (1 - keep_share)) and put there at
    random with rate * random_share / R, R the number of ids that random tokens are drawn from;
    without the true one, with rate * random_share * (1 - p(x)) / (R - 1).
    """
    ids = replacements(masking, vocabulary)
    rate = masked_share(masking, vocabulary.overlap_bp)
    kept_R = prior_V[ids] * (1.0 - rate * (masking.mask_share + masking.random_share))
    random_R = np.full(len(ids), rate * masking.random_share / len(ids))
    if masking.random_tokens == "other":
        random_R *= (1.0 - prior_V[ids]) * len(ids) / (len(ids) - 1)
    doubt_X = np.zeros(len(prior_V) + 1)
    doubt_X[ids] = random_R / np.maximum(random_R + kept_R, 1e-300)
    return doubt_X[shown_M][:, None]


def _predict_doubting(
    counts: _Counts,
    left_M: NDArray[np.int64],
    right_M: NDArray[np.int64],
    hidden: tuple[int, ...],
    weights: tuple[float, float],
    vocabulary: Vocabulary,
    masking: MaskingConfig | None,
) -> NDArray[np.float64]:
    """Mix `_predict` over the four cases in which neither, one or both neighbours are random."""
    if masking is None:
        return _predict(counts, left_M, right_M, hidden, *weights)
    prior_V = counts.unigram_V / counts.unigram_V.sum()
    mixed_MV = np.zeros((len(left_M), len(prior_V)))
    nothing = np.full_like(left_M, vocabulary.mask)
    for left, doubt_left in ((left_M, False), (nothing, True)):
        for right, doubt_right in ((right_M, False), (nothing, True)):
            share = np.ones((len(left_M), 1))
            for side, doubted in ((left_M, doubt_left), (right_M, doubt_right)):
                doubt = _doubt(side, prior_V, vocabulary, masking)
                share *= doubt if doubted else 1.0 - doubt
            mixed_MV += share * _predict(counts, left, right, hidden, *weights)
    return mixed_MV


def _believe_shown(
    p_MV: NDArray[np.float64],
    shown_M: NDArray[np.int64],
    mask_id: int,
    masking: MaskingConfig,
    num_random: int,
) -> NDArray[np.float64]:
    """Update predictions by the token that is shown where the mask token is not.

    A shown token x is the true one with weight p(x) * keep_share and a random one with weight
    random_share / num_random, whatever the true token is; or, where random tokens are never the
    true one, with random_share / (num_random - 1) for each true token but x.
    """
    keep = 1.0 - masking.mask_share - masking.random_share
    told = np.flatnonzero(shown_M != mask_id)
    others = masking.random_tokens == "other"
    random = masking.random_share / (num_random - others)
    weight = np.full((len(told), p_MV.shape[1]), random)
    weight[np.arange(len(told)), shown_M[told]] += keep - others * random
    updated = p_MV.copy()
    updated[told] *= weight
    updated[told] /= updated[told].sum(1, keepdims=True)
    return updated


def _fit_weights(
    counts: _Counts, held_out: Triples, hidden: tuple[int, ...]
) -> tuple[float, float]:
    """Choose the pseudo-counts that predict held-out training tokens best."""
    asked = np.flatnonzero(counts.unigram_V[held_out.token_N])
    asked = asked[:: max(1, len(asked) // FIT_POSITIONS)][:FIT_POSITIONS]
    left, token, right = (x[asked] for x in held_out)
    if len(token) == 0 or len(counts.context_keys) == 0:
        return 8.0, 8.0  # A single document: nothing to fit on.

    def loss(pair_weight: float, triple_weight: float) -> float:
        total = 0.0
        for at in range(0, len(token), CHUNK):
            part = slice(at, at + CHUNK)
            p = _predict(counts, left[part], right[part], hidden, pair_weight, triple_weight)
            total -= float(np.log(p[np.arange(len(p)), token[part]]).sum())
        return total

    pair = min(WEIGHTS, key=lambda weight: loss(weight, 32.0))
    triple = min(WEIGHTS, key=lambda weight: loss(pair, weight))
    pair = min(WEIGHTS, key=lambda weight: loss(weight, triple))
    return pair, triple


def _neighbours(
    batch: StepBatch, nothing: int, hidden: int, *, causal: bool
) -> tuple[NDArray[np.int64], ...]:
    """Return left neighbour, shown token, right neighbour and label of each masked token.

    In a causal batch that is, for each token that is asked, the one before it and `hidden` twice.
    """
    parts = []
    for micro in batch.micro:
        ids_BL = micro.input_ids_BL.numpy()
        labels = micro.labels_M.numpy()
        used = labels >= 0
        row, at = np.divmod(micro.masked_index_M.numpy()[used], ids_BL.shape[1])
        if causal:
            unseen = np.full(len(at), hidden)
            parts.append((ids_BL[row, at], unseen, unseen, labels[used]))
            continue
        padded = np.pad(ids_BL, ((0, 0), (1, 1)), constant_values=nothing)
        if micro.document_ids_BL is not None:
            document = np.pad(micro.document_ids_BL.numpy(), ((0, 0), (1, 1)))
            here = document[row, at + 1]
            left = np.where(document[row, at] == here, padded[row, at], nothing)
            right = np.where(document[row, at + 2] == here, padded[row, at + 2], nothing)
        else:
            left, right = padded[row, at], padded[row, at + 2]
        parts.append((left, ids_BL[row, at], right, labels[used]))
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def standard_error(
    losses_N: NDArray[np.float64], baseline_N: NDArray[np.float64], masked_N: NDArray[np.int64]
) -> float | None:
    """Return the standard error of a model's mean loss minus a baseline's, on the same batches.

    Parameters
    ----------
    losses_N, baseline_N : np.ndarray, float64, shape (N,)
        Summed losses of both in each batch.
    masked_N : np.ndarray, int64, shape (N,)
        Masked tokens of each batch.

    Returns
    -------
    float or None
        In nats a masked token; None with fewer than two batches.

    References
    ----------
    Ratio estimator over clusters: Cochran (1977), Sampling techniques, section 6.4.
    """
    count, total = len(masked_N), masked_N.sum()
    if count < 2:
        return None
    difference_N = losses_N - baseline_N
    rest_N = difference_N - masked_N * difference_N.sum() / total
    return float(math.sqrt(count / (count - 1) * (rest_N**2).sum()) / total)


def counting_baselines(
    documents: Documents,
    batches: list[StepBatch],
    *,
    vocabulary: Vocabulary,
    masking: MaskingConfig | None,
    max_tokens: int = MAX_TOKENS,
) -> Baselines:
    """Score both counting baselines on the masked tokens of `batches`.

    Parameters
    ----------
    documents : Documents
        Training split of the token store.
    batches : list of StepBatch
        Validation batches, as the model gets them.
    vocabulary : Vocabulary
        Special tokens and bases per token.
    masking : MaskingConfig, optional
        How the batches were masked. None: they ask for the next token, and the neighbour that is
        known is the one before it.
    max_tokens : int
        Tokens to count at most.

    Returns
    -------
    Baselines
        Mean losses in nats per masked token, accuracies, bits per base.

    References
    ----------
    Dirichlet smoothing with back-off: MacKay & Peto (1995), A hierarchical Dirichlet language
    model, Natural Language Engineering 1.
    """
    total = int(documents.lengths.sum())
    stride = max(1, math.ceil(total / max_tokens))
    chosen = np.arange(0, len(documents.lengths), stride)
    if stride > 1:
        logger.info("counting every %dth of %d training documents", stride, len(documents.lengths))
    nothing = vocabulary.size
    # A masked neighbour tells nothing. Where a row begins or ends inside a document, neither
    # does the edge; with bos and eos a true edge shows them.
    edge = (nothing,) if vocabulary.bos is not None and vocabulary.eos is not None else ()
    hidden = (vocabulary.mask, *edge)
    inside = chosen[np.arange(len(chosen)) % HELD_OUT != 0]
    asked = vocabulary.regular if masking is None else replacements(masking, vocabulary)
    held_out = _triples(documents, chosen[::HELD_OUT], vocabulary)
    if masking is None:
        held_out = held_out._replace(right_N=np.full_like(held_out.right_N, vocabulary.mask))
    weights = _fit_weights(
        _count(_triples(documents, inside, vocabulary), vocabulary, asked), held_out, hidden
    )
    counts = _count(_triples(documents, chosen, vocabulary), vocabulary, asked)
    prior_V = counts.unigram_V / counts.unigram_V.sum()
    losses, correct = np.zeros((len(batches), 2)), np.zeros(2)
    num_masked = masked_bp = 0
    for number, batch in enumerate(batches):
        left, shown, right, label = _neighbours(
            batch, nothing, vocabulary.mask, causal=masking is None
        )
        for at in range(0, len(label), CHUNK):
            part = slice(at, at + CHUNK)
            true = label[part]
            rows = np.arange(len(true))
            for k, p_MV in enumerate(
                (
                    np.broadcast_to(prior_V, (len(true), len(prior_V))),
                    _predict_doubting(
                        counts, left[part], right[part], hidden, weights, vocabulary, masking
                    ),
                )
            ):
                if masking is None:
                    told = p_MV
                else:
                    told = _believe_shown(p_MV, shown[part], vocabulary.mask, masking, len(asked))
                losses[number, k] -= np.log(np.maximum(told[rows, true], 1e-300)).sum()
                correct[k] += (told.argmax(1) == true).sum()
        num_masked += len(label)
        masked_bp += int(vocabulary.token_bp[label].sum())
    unigram, neighbour = (
        BaselineScore(
            float(losses[:, k].sum() / num_masked),
            float(correct[k] / num_masked),
            float(losses[:, k].sum() / math.log(2) / max(1, masked_bp)),
            tuple(losses[:, k].tolist()),
        )
        for k in range(2)
    )
    return Baselines(unigram, neighbour, *weights)
