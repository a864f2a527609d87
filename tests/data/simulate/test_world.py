"""The same settings give the same bytes; folders that are something else are left alone."""

import hashlib
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from helixlm.data.simulate import LayoutError, SelectionConfig, load_world, simulate, small_config
from helixlm.errors import StateError

FROZEN = "308e7b5e022d41189c2405f70ff54684ef7f2b6265208d9e4fbb7bda9b7fff6f"
SCRIPT = """
import sys
from pathlib import Path
from helixlm.data.simulate import simulate, small_config
simulate(Path(sys.argv[1]), small_config(seed=3))
"""


def hashes(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".fai"  # made by readers
    }


@pytest.fixture
def copy(world, tmp_path):
    """A copy of the world that a test may damage."""
    return shutil.copytree(world.path, tmp_path / "copy")


def test_another_process_with_another_hash_seed_makes_the_same_bytes(world, tmp_path):
    environment = os.environ | {"PYTHONHASHSEED": "12345", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    folder = tmp_path / "twin"
    subprocess.run([sys.executable, "-c", SCRIPT, str(folder)], env=environment, check=True)
    assert hashes(folder) == hashes(world.path)


def test_the_same_process_makes_the_same_bytes(world, tmp_path):
    twin = simulate(tmp_path / "twin", small_config(seed=3))
    assert hashes(twin.path) == hashes(world.path)


def test_the_bytes_are_those_of_every_machine(world):
    """Frozen from our own output: to be changed only together with the format version."""
    text = "".join(f"{record.file} {record.sha256}\n" for record in world.manifest.files)
    assert hashlib.sha256(text.encode()).hexdigest() == FROZEN


def test_another_seed_makes_another_world(world, tmp_path):
    other = simulate(tmp_path / "other", small_config(seed=4))
    same = {record.sha256 for record in other.manifest.files} & {
        record.sha256 for record in world.manifest.files
    }
    names = [r.file for r in world.manifest.files if r.sha256 in same]
    assert names == ["motifs.meme", "signals.meme", "tree.nwk"]


def test_the_manifest_lists_every_file(world):
    listed = {record.file: record.sha256 for record in world.manifest.files}
    found = hashes(world.path)
    assert found.pop("manifest.json")
    assert listed == found
    manifest = json.loads((world.path / "manifest.json").read_text())
    assert manifest["split_of_contig"] == {"chr1": "train", "chr2": "test", "chr3": "dev"}
    assert manifest["config"]["seed"] == 3


def test_text_files_are_ascii_with_line_feeds(world):
    for record in world.manifest.files:
        if not record.file.endswith(".npy"):
            text = (world.path / record.file).read_bytes()
            text.decode("ascii")
            assert b"\r" not in text
            assert text.endswith(b"\n")


def test_the_world_names_its_files(world):
    assert world.focal == "alba"
    assert world.species == ("alba", "rubra", "nigra")
    assert world.contigs_of_split("test") == ("chr2",)
    paths = [world.fasta("nigra"), world.gff3("nigra"), world.bed("repeats", "nigra"), world.vcf]
    paths += [world.fasta(), world.gff3(), world.bed("constrained"), world.labels]
    paths += [world.task("promoter", "dev"), world.path / "tree.nwk"]
    assert all(path.is_file() for path in paths)


def test_effects_are_mapped_not_read(world):
    assert isinstance(world.effects("chr1"), np.memmap)


def test_progress_counts_up_to_the_total(tmp_path):
    calls = []
    simulate(tmp_path / "w", small_config(), progress=lambda *call: calls.append(call))
    total = calls[0][1]
    assert calls == [(done, total) for done in range(1, total + 1)]


def test_a_finished_world_is_returned_at_once(world):
    before = {path: path.stat().st_mtime_ns for path in world.path.rglob("*")}
    again = simulate(world.path, small_config(seed=3))
    assert again == world == load_world(world.path, verify=True)
    assert before == {path: path.stat().st_mtime_ns for path in world.path.rglob("*")}


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "empty").mkdir()
    assert simulate(tmp_path / "empty", small_config()).fasta().is_file()


def test_other_settings_are_refused(world):
    with pytest.raises(StateError, match=r"other inputs or settings: seed \(3 there, 4 now\)"):
        simulate(world.path, small_config(seed=4))


def test_a_folder_with_other_things_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StateError, match="the folder is not empty"):
        simulate(tmp_path, small_config())
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "world").write_text("mine")
    with pytest.raises(StateError, match="expected a folder to write, found a file"):
        simulate(tmp_path / "world", small_config())


def test_a_failure_leaves_nothing_behind(tmp_path):
    config = small_config().model_copy(update={"genes_per_100kbp": 70, "codons": (230, 240)})
    with pytest.raises(LayoutError, match=r"need \d+ bp; set fewer genes_per_100kbp"):
        simulate(tmp_path / "world", config)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_a_manifest_is_no_world(tmp_path):
    with pytest.raises(StateError, match="expected the manifest of a helixlm simulated world"):
        load_world(tmp_path)


def test_a_missing_file_is_told(copy):
    (copy / "variants.vcf").unlink()
    with pytest.raises(StateError, match=r"variants\.vcf: the file is missing"):
        load_world(copy)


def test_a_changed_file_is_told_where_asked(copy):
    text = (copy / "rubra.fa").read_bytes()
    (copy / "rubra.fa").write_bytes(
        text[:-2] + b"C\n" if text[-2:-1] != b"C" else text[:-2] + b"A\n"
    )
    load_world(copy)
    with pytest.raises(StateError, match=r"rubra\.fa: the contents are not those"):
        load_world(copy, verify=True)


def test_a_world_of_another_version_is_refused(copy):
    manifest = json.loads((copy / "manifest.json").read_text()) | {"format_version": 99}
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(StateError, match="format version 99"):
        load_world(copy)


def test_a_bare_world_is_a_world(tmp_path, readers):
    """No introns, repeats, enhancers, TATA, inner gaps or variants; one branch of length 0."""
    none = dict.fromkeys(
        (
            "repeat_share",
            "tandem_share",
            "enhancers_per_100kbp",
            "tata_share",
            "gaps_per_contig",
            "diversity",
            "structural_variants",
        ),
        0,
    )
    changes = none | {
        "tree": "(alba:0,rubra:0.02);",
        "intron_weights": (1,),
        "individuals": 1,
        "selection": SelectionConfig(synonymous_per_bit=0.03, matrix_per_bit=0.03),
    }
    config = small_config().model_copy(update=changes)
    world = simulate(tmp_path / "bare", config)
    assert {c: len(s) for c, s in readers.genome(world.fasta()).items()} == config.contig_bp
    for name in ("repeats", "enhancers", "tata"):
        assert world.bed(name).read_text() == ""
    assert len(readers.bed(world.bed("gaps"))) == 6
    assert "DONOR" not in world.bed("signals").read_text()
    assert world.task("splice_donor", "train").read_text() == "sequence,label\n"
    assert len(world.task("promoter", "train").read_text().splitlines()) > 10
    assert [line for line in world.vcf.read_text().splitlines() if line[0] != "#"] == []
    haplotypes = (world.path / "haplotypes.tsv").read_text().splitlines()[1:]
    assert len({line.split("\t")[-1] for line in haplotypes}) == 3  # both are the reference
    assert min(world.effects(c)["selection"].min() for c in config.contig_bp) == -30_000
