"""The card of a corpus: what the hub and a Markdown reader make of it, and whether it is true."""

import re
import shutil

import pysam
import pytest
import yaml
from huggingface_hub import DatasetCard
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from tests.data.record_files import Cds, letters, write_cds, write_table

from helixlm.data.corpus.window_files import SCHEMA
from helixlm.data.simulate import simulate, small_config
from helixlm.data.windows import DROP_REASONS
from helixlm.pipeline.prepare import prepare
from helixlm.report.card import COLUMNS, MOST_CONTIGS, render_card
from helixlm.report.numerals import count


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("world") / "world", small_config(seed=5))


@pytest.fixture(scope="module")
def corpus(world, tmp_path_factory):
    """Two genomes, one with genotypes and copies, one within intervals."""
    folder = tmp_path_factory.mktemp("card")
    shutil.copy(world.vcf, folder / "variants.vcf")
    vcf = pysam.tabix_index(str(folder / "variants.vcf"), preset="vcf")
    entries = [
        {"species": "alba", "assembly": "a1", "group": "plants", "weight": 2,
         "fasta": str(world.fasta()), "vcf": vcf, "weights": str(folder / "weights.bedgraph")},
        {"species": "other", "fasta": str(world.fasta()), "bed": str(world.bed("promoters")),
         "windows": {"kind": "pieces", "chunk_bp": 90, "overlap_bp": 5}},
    ]  # fmt: skip
    (folder / "weights.bedgraph").write_text("chr1\t0\t2000\t2\n")
    (folder / "genomes.yaml").write_text(yaml.safe_dump(entries))
    overrides = ["windows.kind=fixed", "windows.length_bp=150", "seed=3"]
    with pysam.VariantFile(vcf) as file:
        overrides.append(f"variants.samples=[{', '.join(list(file.header.samples)[:2])}]")
    overrides += ["weights.species_exponent=0.5", "weights.contigs={'alba:chr2': 0.5}"]
    overrides += ["split.by=block", "split.block_bp=2000"]
    return prepare("demo", folder / "corpus", sources=folder / "genomes.yaml", overrides=overrides)


def tables(card):
    """Return the tables of the card as a Markdown reader sees them: rows of cells of text."""
    found = []
    for token in MarkdownIt().enable("table").parse(card.partition("\n---\n")[2]):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type == "inline" and found and found[-1] and token.level == 4:
            found[-1][-1].append("".join(child.content for child in token.children))
    return found


def blocks(card, language):
    return re.findall(rf"^```{language}\n(.*?)^```", card, re.DOTALL | re.MULTILINE)


def test_front_matter(corpus):
    card = DatasetCard(render_card(corpus.manifest, "o/n", licence="cc-by-4.0"))
    assert card.data.license == "cc-by-4.0"
    assert card.data.configs == [
        {
            "config_name": "default",
            "data_files": [
                {"split": "train", "path": "train/*.parquet"},
                {"split": "validation", "path": "validation/*.parquet"},
            ],
        }
    ]
    assert card.data.size_categories == ["1K<n<10K"]
    assert 1000 < sum(split.num_windows for split in corpus.manifest.splits.values()) < 10_000
    assert "dna" in card.data.tags
    assert "license" not in DatasetCard(render_card(corpus.manifest, "o/n")).data.to_dict()


def test_the_tables_say_what_the_manifest_says(corpus):
    manifest = corpus.manifest
    columns, genomes, files, dropped, variants, *_ = tables(render_card(manifest, "o/n"))
    assert [row[0] for row in columns[1:]] == SCHEMA.names == list(COLUMNS)
    assert columns[8][:2] == ["sample", "string, may be null"]
    assert [row[:4] for row in genomes[1:]] == [
        ["alba", "a1", "plants", "2.0"],
        ["other", "", "", "1.0"],
    ]
    windows = [corpus.num_windows(split) for split in ("train", "validation")]
    assert sum(int(row[4].replace(",", "")) for row in genomes[1:]) == sum(windows)
    assert files[1:] == [
        [file.path, file.sha256] for source in manifest.sources for file in source.files
    ]
    assert len(files) == 6
    assert {row[0]: row[1] for row in dropped[1:]} == {
        DROP_REASONS[key]: count(bases) for key, bases in manifest.dropped_bases.items() if bases
    }
    assert "stretches outside the given intervals" in dict(dropped[1:])
    assert dict(variants[1:])["SNV"] != "0"


def test_the_command_makes_the_same_rows_again(corpus, tmp_path):
    card = render_card(corpus.manifest, "o/n")
    recipe, sources = blocks(card, "yaml")
    (tmp_path / "recipe.yaml").write_text(recipe)
    (tmp_path / "sources.yaml").write_text(sources)
    command = blocks(card, "bash")[-1]
    assert command == ("helixlm prepare --recipe recipe.yaml --sources sources.yaml -o corpus\n")
    again = prepare(
        tmp_path / "recipe.yaml", tmp_path / "corpus", sources=tmp_path / "sources.yaml"
    )
    assert again.manifest.corpus_sha256 == corpus.manifest.corpus_sha256
    assert corpus.manifest.corpus_sha256 in card


def renamed(manifest, species):
    source = manifest.sources[0].model_copy(update={"species": species})
    return manifest.model_copy(update={"sources": (source,)})


def test_the_command_makes_the_same_rows_of_records_again(tmp_path):
    records = [
        Cds(f"T{i}", letters(i, 90), (f"{i % 4}", 99 * i, 99 * i + 90, "-")) for i in range(30)
    ]
    entries = [
        {"species": "one", "cds": [str(write_cds(tmp_path / "a.fa", records))]},
        {
            "species": "two",
            "dataset": str(write_table(tmp_path / "b.csv", records)),
            "column": "sequence",
        },
    ]
    (tmp_path / "g.yaml").write_text(yaml.safe_dump(entries))
    overrides = ["windows.kind=coding", "split.by=group"]
    made = prepare("demo", tmp_path / "c", sources=tmp_path / "g.yaml", overrides=overrides)
    recipe, genomes = blocks(render_card(made.manifest, "o/n"), "yaml")
    (tmp_path / "recipe.yaml").write_text(recipe)
    (tmp_path / "genomes.yaml").write_text(genomes)
    again = prepare(tmp_path / "recipe.yaml", tmp_path / "d", sources=tmp_path / "genomes.yaml")
    assert again.manifest.corpus_sha256 == made.manifest.corpus_sha256


@given(species=st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1))
def test_a_name_is_never_taken_for_markup(corpus, species):
    card = render_card(renamed(corpus.manifest, species), "o/n")
    assert tables(card)[1][1][0] == species
    assert DatasetCard(card).data.pretty_name == f"Windows of {species} a1"


def test_weights_for_the_size(corpus):
    source = corpus.manifest.sources[0].model_copy(update={"balance": 0.123456})
    card = render_card(corpus.manifest.model_copy(update={"sources": (source,)}), "o/n")
    assert tables(card)[1][1][3] == "2.0 times 0.123 for its size"


def test_held_out(corpus):
    split = corpus.manifest.split
    assert "Blocks of 2,000 bp are held out for validation.\n" in render_card(
        corpus.manifest, "o/n"
    )
    by_contig = split.model_copy(update={"by": "contig"})
    for names, end in (
        (("chr1", "chr_2"), ": chr1, chr\\_2."),
        (tuple(map(str, range(MOST_CONTIGS + 3))), "49 and 3 more, which manifest.json names."),
    ):
        changed = {"split": by_contig, "validation_contigs": names}
        card = render_card(corpus.manifest.model_copy(update=changed), "o/n")
        line = re.search("^Whole contigs are held out for validation.*$", card, re.MULTILINE)[0]
        assert line.endswith(end)


def test_nothing_left_out_and_no_variants(corpus):
    sources = tuple(
        source.model_copy(
            update={
                "tallies": {
                    split: tally.model_copy(update={"variants": {}, "skipped_variants": {}})
                    for split, tally in source.tallies.items()
                }
            }
        )
        for source in corpus.manifest.sources
    )
    changed = {"sources": sources, "dropped_bases": {"gap": 0}}
    card = render_card(corpus.manifest.model_copy(update=changed), "o/n")
    assert "Nothing: every base is in a window." in card
    assert "## Variants" not in card


def test_a_card_names_its_dataset(corpus):
    card = render_card(corpus.manifest, "someone/some-thing")
    assert 'load_dataset("someone/some-thing", split="train", streaming=True)' in card
    assert "helixlm pretrain --corpus someone/some-thing -o run" in card
