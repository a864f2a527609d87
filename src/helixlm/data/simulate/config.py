"""Settings of the simulated world, each with its unit, checked together before anything is made."""

import re
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from helixlm.data.simulate.tree import Branch, parse_newick

Share = Annotated[float, Field(ge=0, le=1)]
Cost = Annotated[float, Field(ge=0, le=0.03)]
_CONTIG = re.compile(r"[A-Za-z0-9_.]+")


class SelectionConfig(BaseModel):
    """What a mutation costs: the selection coefficient is minus the cost (no unit, s <= 0)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    effective_population: int = Field(default=1000, ge=10, le=100_000)
    """Effective population size, diploid individuals; drift is strong where it is small."""
    stop_gained: Cost = 0.02
    """Cost of a premature stop codon."""
    stop_lost: Cost = 0.01
    """Cost of a stop codon that becomes an amino acid."""
    start_lost: Cost = 0.02
    """Cost of any change of the start codon."""
    missense_conservative: Cost = 0.0005
    """Cost of an amino acid replaced by one of its own chemical group."""
    missense_radical: Cost = 0.0015
    """Cost of an amino acid replaced by one of another chemical group."""
    synonymous_per_bit: Cost = 0.0001
    """Cost of a rarer codon, for each bit of lost codon preference."""
    splice_site: Cost = 0.02
    """Cost of any change of the GT or the AG at the ends of an intron."""
    splice_region_per_bit: Cost = 0.0003
    """Cost of a weaker splice context or branch point, for each bit of lost log-odds."""
    matrix_per_bit: Cost = 0.0005
    """Cost of a weaker TATA box, initiator, Kozak, poly-A or motif site, for each lost bit."""
    frameshift: Cost = 0.02
    """Cost of an indel that shifts the frame, or of a structural variant that touches a CDS."""
    inframe_indel: Cost = 0.005
    """Cost of an indel of a whole number of codons."""
    deleterious_from: Cost = 0.001
    """A variant that costs this or more is labelled deleterious; neutral ones cost nothing."""


class WorldConfig(BaseModel):
    """Settings of a world; the same settings give the same bytes on every machine.

    Raises
    ------
    pydantic.ValidationError
        If a value is out of range, a name is unknown, or parts do not fit together. It is a
        ValueError and lists every problem with its field.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=0, ge=0)
    """Names the world among all with the same settings."""
    tree: str = "((alba:0.015,rubra:0.015):0.02,(nigra:0.02,flava:0.02):0.015);"
    """Newick tree of the species; branch lengths in substitutions per neutral site."""
    focal: str = "alba"
    """The species with individuals, variant effects, labels and tasks."""
    contig_bp: dict[str, Annotated[int, Field(ge=8_000, le=100_000_000)]] = Field(
        default={
            "chr1": 250_000,
            "chr2": 240_000,
            "chr3": 220_000,
            "chr4": 200_000,
            "chr5": 360_000,
            "chr6": 210_000,
        },
        min_length=3,
    )
    """Contigs of the common ancestor, name to length in bp; indels change lengths a little."""
    dev_contigs: tuple[str, ...] = Field(default=("chr6",), min_length=1)
    """Contigs that give the dev rows of the tasks."""
    test_contigs: tuple[str, ...] = Field(default=("chr5",), min_length=1)
    """Contigs that give the test rows of the tasks; no model should see them before."""

    gc_permille: tuple[Annotated[int, Field(ge=100, le=900)], ...] = Field(
        default=(310, 390, 480, 580), min_length=1
    )
    """GC contents of the regions (isochores), in 1/1000; one is drawn for each region."""
    gc_region_bp: tuple[int, int] = (15_000, 45_000)
    """Shortest and longest GC region, bp."""
    telomere_gap_bp: int = Field(default=500, ge=1, le=100_000)
    """Length of the run of N at both ends of a contig, bp."""
    gaps_per_contig: int = Field(default=2, ge=0, le=100)
    """Runs of N inside each contig."""
    gap_bp: tuple[int, int] = (100, 1500)
    """Shortest and longest run of N inside a contig, bp."""

    genes_per_100kbp: int = Field(default=42, ge=1, le=70)
    """Protein-coding genes in 100,000 bp."""
    codons: tuple[int, int] = (80, 240)
    """Fewest and most codons of a gene, start and stop included."""
    protein_families: int = Field(default=10, ge=1, le=1000)
    """Protein domain families; most coding sequence is made of diverged copies of them."""
    intron_weights: tuple[Annotated[int, Field(ge=0)], ...] = (10, 20, 30, 25, 15)
    """Relative number of genes with 0, 1, 2, ... introns."""
    tata_share: Share = 0.7
    """Share of the promoters that have a TATA box; all have an initiator."""
    enhancers_per_100kbp: int = Field(default=6, ge=0, le=50)
    """Enhancers (clusters of motif sites far from promoters) in 100,000 bp."""
    repeat_share: Annotated[float, Field(ge=0, le=0.5)] = 0.28
    """Share of the bases to fill with interspersed repeats, as far as there is room."""
    tandem_share: Annotated[float, Field(ge=0, le=0.2)] = 0.03
    """Share of the bases to fill with tandem repeats, as far as there is room."""

    transition_weight: int = Field(default=4, ge=1, le=100)
    """Weight of the transition among the three substitutions (a transversion has 1)."""
    indels_per_substitution: Annotated[float, Field(ge=0, le=0.5)] = 0.08
    """Small indels for each substitution, at sites that bear them."""
    selection: SelectionConfig = SelectionConfig()
    """What mutations cost."""

    individuals: int = Field(default=8, ge=1, le=1000)
    """Diploid individuals of the focal species."""
    diversity: Annotated[float, Field(ge=0, le=0.02)] = 0.002
    """Expected neutral differences per site between two haplotypes (theta)."""
    indel_share: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """Short indels for each single-nucleotide variant."""
    structural_variants: int = Field(default=15, ge=0, le=10_000)
    """Structural variants of each of the types DEL, INS, DUP and INV, as far as there is room."""
    structural_bp: tuple[int, int] = (50, 2000)
    """Shortest and longest structural variant, bp."""
    labels: int = Field(default=2000, ge=2, le=1_000_000)
    """Labelled single-nucleotide variants, half of them deleterious."""

    promoter_window_bp: int = Field(default=300, ge=90, le=3000)
    """Length of the sequences of the promoter task; the start of transcription is at two thirds."""
    donor_window_bp: int = Field(default=120, ge=20, le=2000)
    """Length of the sequences of the splice donor task, even; GT is in the middle."""

    @property
    def branches(self) -> tuple[Branch, ...]:
        """The branches of the tree in pre-order."""
        return parse_newick(self.tree)

    @property
    def species(self) -> tuple[str, ...]:
        """Names of the species, the focal one first, the others in the order of the tree."""
        names = [branch.species for branch in self.branches if branch.species]
        return (self.focal, *(name for name in names if name != self.focal))

    @property
    def split_of_contig(self) -> dict[str, str]:
        """Split of each contig: "train", "dev" or "test"."""
        held = dict.fromkeys(self.dev_contigs, "dev") | dict.fromkeys(self.test_contigs, "test")
        return {name: held.get(name, "train") for name in self.contig_bp}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems = []
        names = [branch.species for branch in parse_newick(self.tree) if branch.species]
        if self.focal not in names:
            problems.append(f"focal: {self.focal!r} is not in the tree, which has {names}")
        for name in self.contig_bp:
            if not _CONTIG.fullmatch(name):
                problems.append(
                    f"contig_bp: {name!r} has other signs than letters, digits, _ and ."
                )
        held = (*self.dev_contigs, *self.test_contigs)
        for name in held:
            if name not in self.contig_bp:
                problems.append(f"dev_contigs, test_contigs: {name!r} is not in contig_bp")
        if len(set(held)) < len(held):
            problems.append("dev_contigs, test_contigs: a contig is named twice")
        if not set(self.contig_bp) - set(held):
            problems.append("dev_contigs, test_contigs: no contig is left for training")
        for field, least in (
            ("gc_region_bp", 1000),
            ("gap_bp", 1),
            ("codons", 40),
            ("structural_bp", 20),
        ):
            low, high = getattr(self, field)
            if not least <= low <= high:
                problems.append(f"{field}: found ({low}, {high}), expected {least} <= low <= high")
        if not any(self.intron_weights):
            problems.append("intron_weights: all are zero, give one of them a weight")
        if self.donor_window_bp % 2:
            problems.append(
                f"donor_window_bp: found {self.donor_window_bp}, expected an even length"
            )
        if problems:
            raise ValueError("; ".join(problems))
        return self


def small_config(seed: int = 0) -> WorldConfig:
    """Return settings of a world of 80,000 bp and three species, made in about a second."""
    return WorldConfig(
        seed=seed,
        tree="((alba:0.02,rubra:0.03):0.02,nigra:0.05);",
        contig_bp={"chr1": 36_000, "chr2": 22_000, "chr3": 22_000},
        dev_contigs=("chr3",),
        test_contigs=("chr2",),
        gc_region_bp=(5_000, 12_000),
        telomere_gap_bp=150,
        gaps_per_contig=1,
        gap_bp=(50, 300),
        individuals=4,
        diversity=0.004,
        structural_variants=4,
        structural_bp=(50, 400),
        labels=400,
    )
