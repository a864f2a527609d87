"""What one record of a VCF file comes to, for everyone who carries something of it.

In: a record, the letters of its contig, what earlier records hold of each haplotype. Out: a `Site`:
for each haplotype with another allele than the reference, that allele, or the reason why it is left
out. Genotypes that leave something open are settled by `HaplotypeConfig`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from helixlm.data.formats.vcf import VcfError, VcfRecord
from helixlm.data.haplotypes.alleles import (
    Allele,
    Letters,
    check_reference,
    read_allele,
    unknown_bases,
)
from helixlm.data.haplotypes.base import HaplotypeConfig, Overlaps

_MISSING, _HAPLOID, _UNPHASED = -1, -2, -3
_REASONS = {_MISSING: "missing", _HAPLOID: "haploid", _UNPHASED: "unphased"}


class Outcome(NamedTuple):
    """What carrying an allele comes to."""

    allele: Allele | None
    reason: str | None


class Site(NamedTuple):
    """A record, and who carries what of it."""

    position: int
    """0-based, of the record."""
    reach: int
    """End of the longest of its alleles on the reference, exclusive."""
    haplotypes: NDArray[np.int32]
    """Shape (n,): who carries another allele than the reference, or none that is known; the two of
    sample i are 2 i and 2 i + 1."""
    codes: NDArray[np.int16]
    """Shape (n,): which of the outcomes it is for each."""
    outcomes: list[Outcome]


def read_site(
    record: VcfRecord,
    samples: Sequence[str],
    letters: Letters,
    overlaps: Overlaps,
    config: HaplotypeConfig,
) -> Site:
    """Settle what a record comes to for everyone who carries something of it.

    Parameters
    ----------
    record : VcfRecord
        The records of a contig, one after the other.
    samples : sequence of str
        As opened in the file.
    letters : Letters
        The contig.
    overlaps : Overlaps
        What the records before hold, of each haplotype; changed in place.
    config : HaplotypeConfig
        What is done where a genotype leaves something open.

    Returns
    -------
    Site
        Who carries what.

    Raises
    ------
    VcfError
        If the record does not fit the reference, or its genotypes are not as `config` asks.
    """
    unused = why_unused(record, letters, config)
    if unused == "filtered":  # nothing of it is applied, so its phase plays no part
        config = config.model_copy(update={"unphased": "as_written"})
    alleles = _alleles_of(record, samples, config)
    haplotypes = np.flatnonzero(alleles)
    values = alleles[haplotypes]
    codes = np.empty(len(values), dtype=np.int16)
    outcomes: list[Outcome] = []
    reach = record.position + 1
    for value in np.unique(values).tolist():
        who = values == value
        outcome = _outcome(record, value, unused, letters, config)
        codes[who] = len(outcomes)
        outcomes.append(outcome)
        if outcome.allele is not None:
            reach = max(reach, outcome.allele.end)
            late = np.flatnonzero(who)[~overlaps.admit(outcome.allele, haplotypes[who])]
            if len(late):
                codes[late] = len(outcomes)
                outcomes.append(Outcome(None, outcome.reason or "overlap"))
    return Site(record.position, reach, haplotypes.astype(np.int32), codes, outcomes)


def _outcome(
    record: VcfRecord,
    value: int,
    unused: str | None,
    letters: Letters,
    config: HaplotypeConfig,
) -> Outcome:
    """Return what carrying an allele comes to where nothing overlaps it."""
    if value == _MISSING and config.missing == "n" and unused is None:
        return Outcome(unknown_bases(record), "missing")
    if value < 0 or unused is not None:
        return Outcome(None, _REASONS.get(value, unused))
    found = read_allele(record, value, letters)
    if isinstance(found, Allele):
        return Outcome(found, None)
    if found == "past_end":
        _check_misfit(record, found, letters, config)
    return Outcome(None, found)


def why_unused(record: VcfRecord, letters: Letters, config: HaplotypeConfig) -> str | None:
    """Return why no allele of a record is used, as a key of `SKIP_REASONS`, or None.

    Raises
    ------
    VcfError
        If it does not fit the reference, and is not to be skipped.
    """
    if config.filters == "pass" and not record.passes:
        return "filtered"
    misfit = check_reference(record, letters)
    if misfit is not None:
        _check_misfit(record, misfit, letters, config)
    return misfit


def _check_misfit(
    record: VcfRecord, reason: str, letters: Letters, config: HaplotypeConfig
) -> None:
    """Raise the error of a record that does not fit the reference, unless it is to be skipped."""
    if config.reference_mismatch == "skip":
        return
    if reason == "past_end":
        found = f"reaches past the end of the contig, which has {len(letters)} bp"
    else:
        there = letters[record.position : record.position + len(record.ref)].tobytes().decode()
        found = f"REF is {_short(record.ref)}, but the reference has {_short(there)} there"
    raise VcfError(
        f"{record}: {found}: give the reference that the file was made with, or have such records "
        f"skipped (--set variants.genotypes.reference_mismatch=skip)"
    )


def _alleles_of(
    record: VcfRecord, samples: Sequence[str], config: HaplotypeConfig
) -> NDArray[np.int16]:
    """Return the allele of each haplotype, int16, shape (2 * samples,), or why there is none."""
    genotypes = record.genotypes()
    ploidy = genotypes.shape[1] - 1
    if ploidy > 2:
        raise VcfError(
            f"{record}: genotypes have {ploidy} alleles, expected 1 or 2: leave such records out"
        )
    pair = genotypes[:, :2].copy()
    if ploidy == 1:
        pair[:, 1] = _HAPLOID
    phased = genotypes[:, 2] == 1 if ploidy == 2 else np.ones(len(pair), dtype=bool)
    if pair.min() < 0 or not phased.all():
        _settle(pair, phased, record, samples, config)
    return pair.ravel()


def _settle(
    pair: NDArray[np.int16],
    phased: NDArray[np.bool_],
    record: VcfRecord,
    samples: Sequence[str],
    config: HaplotypeConfig,
) -> None:
    """Apply the settings to genotypes that are not two alleles with phase, in place."""
    first, second = pair[:, 0], pair[:, 1]
    absent = second == _HAPLOID
    second[absent & (first == _MISSING)] = _MISSING
    if config.haploid == "both":
        second[absent] = first[absent]
    if config.half_called == "missing":
        pair[((first == _MISSING) | (second == _MISSING)) & ~absent] = _MISSING
    unknown = (first != second) & ~phased
    if config.unphased == "as_written" or not unknown.any():
        return
    if config.unphased == "error":
        i = int(np.argmax(unknown))
        text = "/".join("." if allele < 0 else str(allele) for allele in pair[i].tolist())
        raise VcfError(
            f"{record}: sample {samples[i]!r} has the genotype {text} without phase, expected | "
            f"between different alleles: phase the file, or say what to do "
            f"(--set variants.genotypes.unphased=skip, or as_written)"
        )
    pair[unknown] = _UNPHASED


def _short(text: str) -> str:
    return repr(text if len(text) <= 20 else text[:20] + "...")
