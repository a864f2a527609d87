"""Genes, transcripts, exons and coding regions of a genome, from GFF3.

In: a GFF3 file. Out: an `Annotation`, in 0-based, half-open coordinates of the forward strand.
The letters of the genome play no part: coding sequences are spliced in `coding.py`.

The reader takes files as SGD, Ensembl, NCBI, WormBase, FlyBase and TAIR write them, in any order
of rows:

* A gene is a row without parent whose type ends in "gene" (``gene``, ``ncRNA_gene``,
  ``pseudogene``). A transcript is a row with a parent whose type names an RNA, a transcript, a gene
  segment or a gene, or a row without parent of type ``mRNA`` or ``transcript``.
* CDS rows of one transcript are one coding region, unless rows with different IDs overlap: then
  each ID is one. CDS rows directly under a gene (NCBI's bacteria and organelles) are one region
  for each ID. CDS rows without parent, or whose parent is neither gene nor transcript, are a gene
  of their own. What TAIR calls ``protein`` is no parent. Rows of another contig are another
  region: some files give two copies of a gene one ID.
* The segments of a region follow each other in the direction of the strand, whatever their order
  in the file. They are never merged: where a ribosome slips back, a base is read twice, and the
  rows say so by an overlap. Where transcripts are spliced from both strands (trans-splicing), the
  order of the file decides, as NCBI writes them; FlyBase, whose files are sorted, does not say it.

Segments are held in columns of 26 bytes each, and genes and transcripts as text: some 100 MB for
40,000 of them with ten exons each.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from sys import intern
from typing import Literal, NamedTuple

from helixlm.data.formats.annotation_segments import (
    Owner,
    Segment,
    SegmentTable,
    overlap_between,
    transcribed,
)
from helixlm.data.formats.gff3 import AnnotationError, GffRow, iter_gff3, parse_attributes, unescape

__all__ = [
    "Annotation",
    "AnnotationError",
    "CodingRegion",
    "FeaturePoint",
    "Gene",
    "Segment",
    "Transcript",
    "all_points",
    "feature_points",
    "read_annotation",
]

# Ensembl and WormBase write "gene:ENSG00000186092", NCBI "gene-OR4F5".
_PREFIXES = ("gene:", "transcript:", "CDS:", "Gene:", "Transcript:", "gene-", "rna-", "cds-")
_SYMBOLS = ("gene", "gene_name", "symbol", "locus", "Name")
_DESCRIPTIONS = ("description", "product", "Note")

PointKind = Literal["transcription_start", "gene_start", "translation_start"]


class Gene(NamedTuple):
    """A gene."""

    gene_id: str
    """Without prefix, with the version where the file has one."""
    contig: str
    start: int
    end: int
    strand: str
    biotype: str
    """As the file says, or the type of the row if that is another than "gene"; else empty."""
    symbol: str
    description: str


class Transcript(NamedTuple):
    """A transcript."""

    transcript_id: str
    """Without prefix, with the version where the file has one."""
    parent: str
    """ID of its gene, a key of `Annotation.genes` if that has a row; empty if it has no parent."""
    contig: str
    start: int
    end: int
    strand: str
    kind: str
    """The type of the row, such as "mRNA"."""
    biotype: str


class CodingRegion(NamedTuple):
    """What is translated into one protein."""

    transcript_id: str
    """Of the transcript, or of the parent of its rows; under a gene, of the protein, or else of
    the gene."""
    gene_id: str
    contig: str
    segments: tuple[Segment, ...]
    """In the order in which they are translated."""
    gene: Gene | None
    transcript: Transcript | None
    description: str
    """Of the gene, or else of the CDS rows."""
    transl_table: int | None
    """NCBI's number of the genetic code, if the file says it."""


class FeaturePoint(NamedTuple):
    """A base that windows are put around."""

    contig: str
    position: int
    """0-based, forward strand."""
    strand: str


class _Details(NamedTuple):
    """Attributes of the first row of a CDS."""

    locus_tag: str
    protein_id: str
    transl_table: str
    description: str


@dataclass(frozen=True)
class Annotation:
    """What a GFF3 file says of genes."""

    path: Path
    genes: Mapping[str, Gene]
    """By the ID in the file, in its order."""
    transcripts: Mapping[str, Transcript]
    """By the ID in the file, in its order."""
    circular: frozenset[str]
    """Contigs that the file calls circular."""
    _exons: SegmentTable
    _coding: SegmentTable
    _details: Mapping[Owner, _Details]
    _proteins: frozenset[str]

    def exons(self, key: str) -> list[Segment]:
        """Return the exons of a transcript in the order in which they are transcribed.

        Parameters
        ----------
        key : str
            A key of `transcripts`.

        Returns
        -------
        list of Segment
            Empty if the file has no exons for it.
        """
        transcript = self.transcripts[key]
        return transcribed(self._exons.of(Owner(transcript.contig, key, "")))

    def coding_regions(self) -> Iterator[CodingRegion]:
        """Yield what is translated, in the order of the first CDS row of each."""
        groups: dict[tuple[str, str], list[Owner]] = {}
        for owner in self._coding.owners:
            if owner.parent not in self._proteins:
                groups.setdefault((owner.contig, owner.parent), []).append(owner)
        for (_, parent), owners in groups.items():
            segments = [self._coding.of(owner) for owner in owners]
            if parent in self.transcripts and not overlap_between(segments):
                owners, segments = owners[:1], [[*chain.from_iterable(segments)]]
            for owner, some in zip(owners, segments, strict=True):
                yield self._region(owner, transcribed(some))

    def _region(self, owner: Owner, segments: list[Segment]) -> CodingRegion:
        transcript = self.transcripts.get(owner.parent)
        gene_key = transcript.parent if transcript else owner.parent
        gene = self.genes.get(gene_key)
        details = self._details[owner]
        own_name = details.locus_tag or _bare(owner.parent or owner.cds_id)
        gene_id = gene.gene_id if gene else _bare(gene_key) or own_name
        if transcript:
            transcript_id = transcript.transcript_id
        elif gene or not owner.parent:
            transcript_id = details.protein_id or gene_id
        else:
            transcript_id = _bare(owner.parent)
        table = details.transl_table
        return CodingRegion(
            transcript_id,
            gene_id,
            owner.contig,
            tuple(segments),
            gene,
            transcript,
            (gene.description if gene else "") or details.description,
            int(table) if table.isdecimal() else None,
        )


def read_annotation(path: str | Path) -> Annotation:
    """Read the genes of a GFF3 file.

    Parameters
    ----------
    path : path
        The file, plain, gzip or bgzip.

    Returns
    -------
    Annotation
        Genes, transcripts, exons and coding regions.

    Raises
    ------
    AnnotationError
        If the file is not sound GFF3, or holds neither genes nor transcripts nor CDS.
    """
    reader = _Reader()
    for row in iter_gff3(path):
        reader.add(row)
    return reader.finish(Path(path))


def feature_points(annotation: Annotation, kind: PointKind) -> Iterator[FeaturePoint]:
    """Yield the bases at which features begin, in the direction of their strand.

    Parameters
    ----------
    annotation : Annotation
        The annotation.
    kind : {"transcription_start", "gene_start", "translation_start"}
        The first base of each transcript, of each gene (the only one where a file has no
        transcripts, as for bacteria), or of each coding region.

    Yields
    ------
    FeaturePoint
        Each once, in the order of the file. Features without strand are left out.

    Raises
    ------
    AnnotationError
        If there is no such feature.
    """
    points = all_points(annotation, kind)
    found = dict.fromkeys(point for point in points if point.strand in "+-")
    if not found:
        nouns = {"transcription_start": "transcripts", "gene_start": "genes"}
        raise AnnotationError(
            f"{annotation.path}: no {nouns.get(kind, 'CDS')} with a strand, expected some for the "
            f"points {kind!r}: choose another kind of points, or another file"
        )
    yield from found


def all_points(annotation: Annotation, kind: PointKind) -> Iterator[FeaturePoint]:
    """Yield a point for each feature, be it that of another or without a strand.

    Parameters
    ----------
    annotation, kind
        See `feature_points`.

    Yields
    ------
    FeaturePoint
        In the order of the file. Of features without a strand, their first base of the forward
        strand.
    """
    if kind == "transcription_start":
        yield from map(_first_base, annotation.transcripts.values())
    elif kind == "gene_start":
        yield from map(_first_base, annotation.genes.values())
    else:
        for region in annotation.coding_regions():
            first = region.segments[0]
            place = (region.contig, first.start, first.end, first.strand)
            yield _first_base(Gene("", *place, "", "", ""))


def _first_base(feature: Gene | Transcript) -> FeaturePoint:
    position = feature.end - 1 if feature.strand == "-" else feature.start
    return FeaturePoint(feature.contig, position, feature.strand)


def _bare(name: str) -> str:
    """Return an ID without the prefix that says what it is of."""
    for prefix in _PREFIXES:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def _named(attributes: Mapping[str, str], id_key: str) -> str:
    """Return the name of a gene or transcript, with its version."""
    name = unescape(attributes.get(id_key, "")) or _bare(unescape(attributes.get("ID", "")))
    version = attributes.get("version", "")
    return f"{name}.{version}" if version and not name.endswith(f".{version}") else name


def _first_of(attributes: Mapping[str, str], keys: tuple[str, ...]) -> str:
    return next((unescape(attributes[key]) for key in keys if attributes.get(key)), "")


def _is_transcript(kind: str, *, has_parent: bool) -> bool:
    if not has_parent:
        return kind in ("mRNA", "transcript")
    return "RNA" in kind or "transcript" in kind or kind.endswith(("gene", "gene_segment"))


class _Reader:
    """Collects what the rows of a file say."""

    def __init__(self) -> None:
        self.genes: dict[str, Gene] = {}
        self.transcripts: dict[str, Transcript] = {}
        self.circular: set[str] = set()
        self.exons, self.coding = SegmentTable(), SegmentTable()
        self.details: dict[Owner, _Details] = {}
        self.proteins: set[str] = set()
        self._last: tuple[str, str, list[Owner]] = ("", "", [])

    def add(self, row: GffRow) -> None:
        """Take one row."""
        if row.kind == "CDS":
            for owner in self._owners_of(row):
                self.coding.add(owner, row)
        elif row.kind in ("exon", "pseudogenic_exon"):
            for parent in _parents(parse_attributes(row.attributes)):
                self.exons.add(Owner(row.contig, parent, ""), row)
        elif "ID=" in row.attributes:
            self._add_feature(row)

    def _owners_of(self, row: GffRow) -> list[Owner]:
        """Return the owners of a CDS row, and note the details of new ones."""
        contig, text, owners = self._last
        if (contig, text) == (row.contig, row.attributes) and "Parent=" in text:
            return owners
        attributes = parse_attributes(row.attributes)
        cds_id = unescape(attributes.get("ID", ""))
        parents = _parents(attributes)
        if not parents:
            name = cds_id or unescape(attributes.get("Name", "")) or f"CDS of line {row.line}"
            owners = [Owner(row.contig, "", name)]
        else:
            owners = [Owner(row.contig, parent, cds_id) for parent in parents]
        for owner in owners:
            if owner not in self.details:
                self.details[owner] = _Details(
                    _first_of(attributes, ("locus_tag",)),
                    _first_of(attributes, ("protein_id",)),
                    _first_of(attributes, ("transl_table",)),
                    _first_of(attributes, _DESCRIPTIONS),
                )
        self._last = (row.contig, row.attributes, owners)
        return owners

    def _add_feature(self, row: GffRow) -> None:
        attributes = parse_attributes(row.attributes)
        if attributes.get("Is_circular") == "true":
            self.circular.add(row.contig)
        key = intern(unescape(attributes.get("ID", "")))
        parents = _parents(attributes)
        place = (row.contig, row.start, row.end, row.strand)
        if row.kind in ("protein", "polypeptide"):
            self.proteins.add(key)
        elif not parents and row.kind.endswith("gene"):
            name = _named(attributes, "gene_id")
            biotype = _first_of(attributes, ("biotype", "gene_biotype"))
            symbol = _first_of(attributes, _SYMBOLS)
            gene = Gene(
                name,
                *place,
                biotype or (row.kind if row.kind != "gene" else ""),
                symbol if symbol != _bare(key) else "",
                _first_of(attributes, _DESCRIPTIONS),
            )
            self.genes.setdefault(key, gene)
        elif _is_transcript(row.kind, has_parent=bool(parents)):
            name = _named(attributes, "transcript_id")
            biotype = _first_of(attributes, ("biotype", "transcript_biotype"))
            parent = parents[0] if parents else ""
            self.transcripts.setdefault(key, Transcript(name, parent, *place, row.kind, biotype))

    def finish(self, path: Path) -> Annotation:
        """Return what was collected."""
        if not (self.genes or self.transcripts or self.coding.owners):
            raise AnnotationError(
                f"{path}: no gene, transcript or CDS in the file, expected an annotation of genes"
            )
        for key, transcript in self.transcripts.items():
            self.transcripts[key] = transcript._replace(parent=self._gene_of(transcript))
        self.exons.close()
        self.coding.close()
        return Annotation(
            path,
            self.genes,
            self.transcripts,
            frozenset(self.circular),
            self.exons,
            self.coding,
            self.details,
            frozenset(self.proteins),
        )

    def _gene_of(self, transcript: Transcript) -> str:
        """Return the gene of a transcript, which may lie in a longer one."""
        parent, seen = transcript.parent, set()
        while parent in self.transcripts and parent not in seen:
            seen.add(parent)
            parent = self.transcripts[parent].parent
        return parent


def _parents(attributes: Mapping[str, str]) -> list[str]:
    return [intern(unescape(name)) for name in attributes.get("Parent", "").split(",") if name]
