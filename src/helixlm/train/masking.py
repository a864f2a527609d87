"""Which tokens of a row are hidden, and what the model is shown in their place.

Comes in: a row of token ids and a key. Goes out: the corrupted row and the hidden positions. The
draw is a pure function of the key: no state, no device, no worker.

Shape letters: L tokens in a row, K hidden in a row, V vocabulary size.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from helixlm.errors import InputError
from helixlm.rng import CounterRng
from helixlm.train.batches import Vocabulary
from helixlm.train.slots import capacity
from helixlm.train.spans import (
    count_variance,
    coverage,
    draw_centres,
    draw_spans,
    find_stretches,
    geometric_survival,
    number_runs,
    published_runs,
    run_survival,
    start_rate,
    uniform_survival,
)

_KIND_OF = {
    "rate_of": "contiguous",
    "published_quirks": "contiguous",
    "span_lengths": "spans",
    "span_mean": "spans",
    "span_max": "spans",
    "allow_leaks": "independent",
}
"""Settings that one kind of masking has."""


class RateChange(BaseModel):
    """Another masking rate from some step on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    from_step: int = Field(ge=1)
    """The first optimiser step with this rate, counted from 0."""
    rate: float = Field(gt=0, lt=1)
    """As `MaskingConfig.rate`."""


class MaskingConfig(BaseModel):
    """How tokens are hidden in masked-language pretraining."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["independent", "contiguous", "spans"] = "independent"
    """independent: each token alone, as BERT. contiguous: runs of k words, for words of k letters
    that overlap, as DNABERT. spans: several tokens in a row, as SpanBERT; where words overlap, each
    span is longer by k - 1, so that it hides bases of the drawn length."""
    rate: float = Field(0.15, gt=0, lt=1)
    """Share of the tokens, special tokens and padding left out, that the model must predict."""
    rate_changes: tuple[RateChange, ...] = ()
    """Other rates from given steps on, such as [{from_step: 100000, rate: 0.2}]. Validation always
    has the first."""
    rate_of: Literal["tokens", "centres"] = "tokens"
    """contiguous: whether rate is the share of hidden tokens or that of the centres of runs, as in
    DNABERT's script, which hides 1 - (1 - rate)^k."""
    mask_share: float = Field(0.8, ge=0, le=1)
    """Share of these that are shown as the mask token."""
    random_share: float = Field(0.1, ge=0, le=1)
    """Share of these that are shown as a random token; the rest is shown unchanged. Tokens in a
    row that are hidden by contiguous or spans are shown all in the same way."""
    random_tokens: Literal["any", "other"] = "any"
    """Whether a random token may be the true one; "other", as Nucleotide Transformer: not."""
    span_lengths: Literal["geometric", "uniform"] = "geometric"
    """spans: short ones more often than long ones, or all as often."""
    span_mean: float = Field(3.8, gt=1)
    """spans, geometric: mean length in tokens; 3.8 is SpanBERT's."""
    span_max: int = Field(10, ge=1)
    """spans: the longest, in tokens."""
    published_quirks: bool = False
    """contiguous: as DNABERT's script, which draws mask, random or unchanged for each token of a
    run, so that runs can be read in part; takes special tokens for random ones; and hides special
    tokens that lie between two sequences of a row, and unknown words."""
    allow_leaks: bool = False
    """independent: hide overlapping words one by one all the same. Their neighbours spell them, and
    little is learned: for comparison."""

    @model_validator(mode="after")
    def _settings_fit(self) -> "MaskingConfig":
        problems = list(self._problems())
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _problems(self) -> Iterator[str]:
        if self.mask_share + self.random_share > 1:
            yield (
                f"mask_share {self.mask_share} + random_share {self.random_share} is over 1: "
                f"they are shares of the same masked tokens"
            )
        for name, kind in _KIND_OF.items():
            value = getattr(self, name)
            if kind != self.kind and value != type(self).model_fields[name].default:
                yield f"{name} {value!r} is a setting of kind {kind!r}, and kind is {self.kind!r}"
        if self.published_quirks and self.random_tokens == "other":
            yield "published_quirks draws random tokens from all: set random_tokens to 'any'"
        most = (1 + self.span_max) / 2
        if self.kind == "spans" and self.span_lengths == "geometric" and self.span_mean >= most:
            yield (
                f"span_mean {self.span_mean} is not below {most}, the mean of uniform lengths up "
                f"to span_max {self.span_max}: raise span_max, lower span_mean, or set "
                "span_lengths to 'uniform'"
            )
        steps = [change.from_step for change in self.rate_changes]
        if steps != sorted(set(steps)):
            yield f"rate_changes from steps {steps}: expected each later than the one before"

    def rate_at(self, step: int) -> float:
        """Return the rate of an optimiser step, counted from 0."""
        rates = [self.rate, *(x.rate for x in self.rate_changes if x.from_step <= step)]
        return rates[-1]

    def survival(self, overlap_bp: int) -> NDArray[np.float64]:
        """Return S_m of the lengths that are hidden, see `spans.py`.

        Parameters
        ----------
        overlap_bp : int
            Bases that a token shares with the one before it.
        """
        if self.kind == "independent":
            return run_survival(1)
        if self.kind == "contiguous":
            return run_survival(overlap_bp + 1)
        if self.span_lengths == "uniform":
            lengths = uniform_survival(self.span_max)
        else:
            lengths = geometric_survival(self.span_mean, self.span_max)
        return np.append(run_survival(overlap_bp), lengths)


def overlap_problem(config: MaskingConfig, overlap_bp: int) -> str | None:
    """Say why a kind of masking does not go with tokens that overlap so far; None if it does."""
    if overlap_bp and config.kind == "independent" and not config.allow_leaks:
        return (
            f"the tokenizer's k-mers overlap by {overlap_bp} bases, so the neighbours of a hidden "
            "token spell it and masking.kind 'independent', which hides tokens one by one, would "
            "teach nothing: set masking.kind to 'contiguous' or 'spans', or choose words side by "
            "side (tokenizer.overlap: false, or preset nt-v2)"
        )
    if not overlap_bp and config.kind == "contiguous":
        return (
            "masking.kind 'contiguous' hides runs of words that overlap, and those of this "
            "tokenizer do not: set masking.kind to 'independent' or 'spans'"
        )
    return None


def replacements(config: MaskingConfig, vocabulary: Vocabulary) -> NDArray[np.int64]:
    """Return the ids that random tokens are drawn from, ascending."""
    return np.arange(vocabulary.size) if config.published_quirks else vocabulary.regular


def masked_share(config: MaskingConfig, overlap_bp: int, rate: float | None = None) -> float:
    """Return the share of tokens that is hidden away from edges; by default at the first rate."""
    rate = config.rate if rate is None else rate
    return coverage(config.survival(overlap_bp), rate) if config.rate_of == "centres" else rate


class MaskedRow(NamedTuple):
    """A corrupted row and the positions that were hidden in it."""

    shown_L: NDArray[np.int64]
    """What the model is shown."""
    hidden_K: NDArray[np.int64]
    """Positions of the hidden tokens, ascending."""


class Masker:
    """Masks rows of one tokenizer's tokens.

    Parameters
    ----------
    config : MaskingConfig
        What to hide, and how.
    vocabulary : Vocabulary
        Special tokens, and whether words overlap.

    Raises
    ------
    InputError
        If the kind of masking does not go with the tokens.
    """

    def __init__(self, config: MaskingConfig, vocabulary: Vocabulary) -> None:
        problem = overlap_problem(config, vocabulary.overlap_bp)
        if problem is not None:
            raise InputError(problem)
        self.config = config
        self.mask_id = vocabulary.mask
        self.k = vocabulary.overlap_bp + 1
        never: tuple[int | None, ...] = vocabulary.special
        if config.published_quirks:
            never = (vocabulary.bos, vocabulary.eos, vocabulary.pad)
        self._maskable_V = ~np.isin(np.arange(vocabulary.size), [x for x in never if x is not None])
        self._random_ids = replacements(config, vocabulary)
        self._survival_M = config.survival(vocabulary.overlap_bp)
        self._starts: dict[float, float] = {}

    def num_slots(self, num_tokens: int, rate: float) -> int:
        """Return the number of slots for the hidden ones of so many tokens."""
        start = self._start(rate)
        variance = count_variance(self._survival_M, start)
        return capacity(num_tokens, coverage(self._survival_M, start), variance)

    def _start(self, rate: float) -> float:
        """Return the probability that a run or span starts at a position."""
        if self.config.rate_of == "centres" or self.config.kind == "independent":
            return rate
        if rate not in self._starts:
            self._starts[rate] = start_rate(self._survival_M, rate)
        return self._starts[rate]

    def mask(
        self,
        ids_L: NDArray[np.integer],
        rng: CounterRng,
        *,
        rate: float,
        document_L: NDArray[np.integer] | None = None,
    ) -> MaskedRow:
        """Hide tokens of a row.

        Parameters
        ----------
        ids_L : ndarray, int, shape (L,)
            Token ids.
        rng : CounterRng
            The stream of this row.
        rate : float
            The masking rate of this step.
        document_L : ndarray, int, shape (L,), optional
            Which document of the row each token belongs to; None: one.

        Returns
        -------
        MaskedRow
            A hidden token is shown as the mask token (80 % by default), as a random token (10 %)
            or unchanged (10 %). Never hidden are special tokens and padding.

        References
        ----------
        Devlin et al. (2019), BERT, section 3.1 (80/10/10). Unlike transformers'
        `DataCollatorForLanguageModeling` the random token is never a special token.
        """
        hidden = np.flatnonzero(self._choose(ids_L, document_L, rng, rate))
        shown = ids_L.astype(np.int64)
        action = self._actions(hidden, rng)
        substitute = self._substitutes(shown[hidden], rng)
        mask, random = self.config.mask_share, self.config.random_share
        shown[hidden] = np.where(
            action < mask,
            self.mask_id,
            np.where(action < mask + random, substitute, shown[hidden]),
        )
        return MaskedRow(shown, hidden)

    def _choose(
        self,
        ids_L: NDArray[np.integer],
        document_L: NDArray[np.integer] | None,
        rng: CounterRng,
        rate: float,
    ) -> NDArray[np.bool_]:
        """Return which tokens are hidden, bool, shape (L,)."""
        maskable_L = self._maskable_V[ids_L]
        start = self._start(rate)
        if self.config.kind == "independent":
            return (rng.uniform(len(ids_L)) < start) & maskable_L
        if self.config.published_quirks:
            centre_C = np.flatnonzero((rng.uniform(len(ids_L)) < start) & maskable_L)
            last = int(np.flatnonzero(maskable_L)[-1]) if len(centre_C) else 0
            return published_runs(centre_C, last, self.k, len(ids_L))
        hidden_L = np.zeros(len(ids_L), dtype=bool)
        for begin, end in find_stretches(maskable_L, document_L):
            if self.config.rate_of == "centres":
                hidden_L[begin:end] = draw_centres(end - begin, self.k, start, rng)
            else:
                hidden_L[begin:end] = draw_spans(end - begin, self._survival_M, start, rng)
        return hidden_L

    def _actions(self, hidden_K: NDArray[np.int64], rng: CounterRng) -> NDArray[np.float64]:
        """Draw what becomes of each hidden token: one number for all tokens of a run."""
        if self.config.kind == "independent" or self.config.published_quirks:
            return rng.uniform(len(hidden_K))
        run_K = number_runs(hidden_K)
        return rng.uniform(int(run_K[-1]) + 1)[run_K] if len(run_K) else np.zeros(0)

    def _substitutes(self, true_K: NDArray[np.int64], rng: CounterRng) -> NDArray[np.int64]:
        """Draw a random token for each hidden one."""
        ids = self._random_ids
        if self.config.random_tokens == "any":
            return ids[rng.integers(0, len(ids), len(true_K))]
        place = rng.integers(0, len(ids) - 1, len(true_K))
        return ids[place + (place >= np.searchsorted(ids, true_K))]  # the true one is passed over
