"""`prepare` by the recipes of the published corpora, on real pieces, read back with pyarrow."""

import gzip
from collections import Counter

import pyarrow.dataset as ds
import pysam
import pysam.bcftools
import pytest

from helixlm.data.similarity.leaks import check_leaks
from helixlm.pipeline.prepare import PAGE, prepare
from helixlm.seq.ops import reverse_complement

BY_BLOCK = ("split.by=block", "split.block_bp=100000")
CHR22 = "1000G_GRCh38_chr22_16.6-16.8M.vcf.gz"
HUMAN = "hg38_chr2_1-2333275.softmasked.fa.gz"
INTERVAL_BP = 131_072  # of Basenji's intervals


def letters_of(*paths):
    """Read FASTA with nothing but gzip and split."""
    found = {}
    for path in paths:
        text = gzip.decompress(path.read_bytes()).decode()
        for record in f"\n{text}".split("\n>")[1:]:
            head, _, body = record.partition("\n")
            found[head.split()[0]] = body.replace("\n", "").replace("\r", "")
    return found


def rows_of(corpus):
    return ds.dataset(
        [str(path) for path in sorted(corpus.path.rglob("*.parquet"))], format="parquet"
    ).to_table()


def consensus(letters, vcf, row, folder):
    """What `bcftools consensus` makes of the window of a row."""
    start, end = row["start"], row["end"]
    path = folder / "window.fa"
    path.write_text(f">chr22:{start + 1}-{end}\n{letters['chr22'][start:end]}\n")
    options = ["-H", str(row["haplotype"]), "-s", row["sample"], "-f", str(path)]
    text = pysam.bcftools.consensus(*options, str(vcf))
    return text.partition("\n")[2].replace("\n", "")


def check(corpus, letters, as_n=False):
    """Compare each row with the letters of the genome; return the rows."""
    rows = rows_of(corpus).to_pylist()
    for row in rows:
        if row["sample"] is not None:
            continue
        there = letters[row["contig"]][row["start"] : row["end"]]
        there = reverse_complement(there) if row["strand"] == "-" else there
        if as_n:
            assert row["sequence"].upper() == "".join(
                c if c in "ACGT" else "N" for c in there.upper()
            )
        else:
            assert row["sequence"] == there
    assert check_leaks(corpus).validation["overlapping"] == 0
    assert (corpus.path / PAGE).exists()
    return rows


@pytest.fixture
def human(data):
    folder = data / "human"
    return [
        folder / name
        for name in (
            HUMAN,
            "hg19_chr22_1-22000000.softmasked.fa.gz",
        )
    ]


def test_dnabert(human, tmp_path):
    corpus = prepare("dnabert", tmp_path / "corpus", fasta=human, overrides=BY_BLOCK)
    rows = check(corpus, letters_of(*human))
    lengths = Counter(len(row["sequence"]) for row in rows)
    assert min(lengths) >= 5
    assert max(lengths) == 515
    # Half of the cuts are full, and of the others some by chance; borders of blocks take more of
    # the long ones.
    assert 0.4 < lengths[515] / len(rows) < 0.6
    assert not any("N" in row["sequence"].upper() for row in rows)


def test_dnabert2(human, tmp_path):
    corpus = prepare("dnabert2", tmp_path / "corpus", fasta=human, overrides=BY_BLOCK)
    rows = check(corpus, letters_of(*human))
    lengths = Counter(len(row["sequence"]) for row in rows)
    assert max(lengths) == 1000
    assert lengths[1000] / len(rows) > 0.99
    assert not any("N" in row["sequence"].upper() for row in rows)


def test_nt(human, tmp_path):
    corpus = prepare("nt", tmp_path / "corpus", fasta=human, overrides=BY_BLOCK)
    letters = letters_of(*human)
    rows = check(corpus, letters, as_n=True)
    assert {len(row["sequence"]) for row in rows} == {12_200}
    borders = corpus.manifest.dropped_bases["split_border"] // 12_200
    pieces = sum((len(text) - 200) // 12_000 for text in letters.values())
    assert len(rows) + borders <= pieces <= len(rows) + 2 * borders + 2


def test_dnagrinder_human(human, tmp_path):
    corpus = prepare("dnagrinder", tmp_path / "corpus", fasta=human, overrides=BY_BLOCK)
    letters = letters_of(*human)
    rows = check(corpus, letters)
    assert {len(row["sequence"]) for row in rows} == {12_200}
    assert not any("N" in row["sequence"].upper() for row in rows)
    masked = sum(sum(map(row["sequence"].count, "acgt")) for row in rows)
    kept = masked / sum(len(row["sequence"]) for row in rows)
    everywhere = sum(sum(map(text.count, "acgt")) for text in letters.values())
    known = sum(len(text) - text.upper().count("N") for text in letters.values())
    assert kept < everywhere / known


def test_dnagrinder_haplotypes(data, tmp_path):
    folder = data / "haplotypes"
    fasta = folder / "GRCh38_chr22_16.6-16.8M.padded.fa.gz"
    corpus = prepare(
        "dnagrinder",
        tmp_path / "corpus",
        fasta=[fasta],
        vcf=[folder / CHR22],
        overrides=("split.by=block", "split.block_bp=25000", "split.validation_fraction=0.25"),
    )
    letters = letters_of(fasta)
    rows = check(corpus, letters)
    for row in rows[::3]:
        assert row["sequence"] == consensus(letters, folder / CHR22, row, tmp_path)
    people = Counter((row["start"], row["sample"]) for row in rows)
    assert set(people.values()) == {2}
    assert {row["haplotype"] for row in rows} == {1, 2}
    assert len({sample for _, sample in people}) > 1
    assert sum(
        sum(tally.variants.values()) for tally in corpus.manifest.sources[0].tallies.values()
    )


def test_dnagrinder_species(data, tmp_path):
    windows = "windows: {kind: pieces, chunk_bp: 12000, n: drop}"
    listed = f"- {{species: Homo sapiens, fasta: {data}/human/{HUMAN}}}\n"
    for name in ("rheMac3", "mm10", "rn6", "canFam3", "bosTau8", "monDom5", "galGal4"):
        fasta = f"fasta: {data}/species/orthologous_{name}.softmasked.fa.gz"
        listed += f"- {{species: {name}, {fasta}, {windows}}}\n"
    (tmp_path / "species.yaml").write_text(listed)
    by_block = ("split.by=block", "split.block_bp=100000")
    corpus = prepare(
        "dnagrinder", tmp_path / "corpus", sources=tmp_path / "species.yaml", overrides=by_block
    )
    rows = rows_of(corpus).to_pylist()
    assert {len(row["sequence"]) for row in rows} == {12_200}
    assert not any("N" in row["sequence"].upper() for row in rows)
    assert {row["species"] for row in rows} >= {"Homo sapiens", "mm10", "monDom5"}
    [letters] = letters_of(data / "human" / HUMAN).values()
    human = [row for row in rows if row["species"] == "Homo sapiens"]
    assert 12_200 * len(human) < 0.6 * len(letters)
    assert any(row["start"] % 12_000 for row in human)
    assert not any(row["start"] % 12_000 for row in rows if row["species"] != "Homo sapiens")


def test_book(data, tmp_path):
    folder = data / "yeast"
    fasta = folder / "S_cerevisiae.SGD.fa.gz"
    corpus = prepare(
        "book", tmp_path / "corpus", fasta=[fasta], gff=folder / "S_cerevisiae.SGD.gff3.gz"
    )
    published = Counter(letters_of(folder / "S_cerevisiae.SGD.cds.fa.gz").values())
    found = Counter(row["sequence"] for row in rows_of(corpus).to_pylist())
    # test_annotation.py explains the 16 that are not spliced from the annotation.
    assert sum((published - found).values()) == 16
    assert sum(found.values()) == 6697


def test_hyenadna(human, tmp_path):
    letters = letters_of(*human)
    bed = tmp_path / "intervals.bed"
    bed.write_text(
        "".join(
            f"{name}\t{start}\t{start + INTERVAL_BP}\ttrain\n"
            for name, text in letters.items()
            for start in range(0, len(text) - INTERVAL_BP, INTERVAL_BP)
            if "N" not in text[start : start + INTERVAL_BP].upper()
        )
    )
    corpus = prepare("hyenadna", tmp_path / "corpus", fasta=human, bed=bed, overrides=BY_BLOCK)
    rows = check(corpus, letters)
    expected = [line.split("\t")[:2] for line in bed.read_text().splitlines()]
    found = [[row["contig"], str(row["start"])] for row in rows]
    assert {len(row["sequence"]) for row in rows} == {1024}
    assert all(place in expected for place in found)
    borders = corpus.manifest.dropped_bases["split_border"] // 1024
    assert len(found) + borders == len(expected)
