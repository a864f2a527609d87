"""Settings: what is derived from them, and what is refused."""

import pytest
from pydantic import ValidationError

from helixlm.data.simulate import WorldConfig, small_config


def test_the_default_is_a_world_of_the_promised_size():
    config = WorldConfig()
    assert 1_200_000 <= sum(config.contig_bp.values()) <= 1_500_000
    assert len(config.species) == 4


def test_the_focal_species_comes_first():
    config = WorldConfig(focal="nigra")
    assert config.species == ("nigra", "alba", "rubra", "flava")


def test_splits_follow_the_named_contigs():
    assert small_config().split_of_contig == {"chr1": "train", "chr2": "test", "chr3": "dev"}


def test_settings_survive_json():
    config = small_config(seed=5)
    assert WorldConfig.model_validate_json(config.model_dump_json()) == config


CONTIGS = {"a": 20_000, "b": 20_000, "c": 20_000}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unknown": 1}, "Extra inputs are not permitted"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"focal": "nobody"}, "focal: 'nobody' is not in the tree"),
        ({"tree": "(a:1,b:1)"}, "expected ';'"),
        ({"contig_bp": CONTIGS}, "'chr6' is not in contig_bp"),
        ({"contig_bp": {"a": 1, "b": 1, "c": 1}}, "greater than or equal to 8000"),
        (
            {
                "contig_bp": {"a": 9000, "b": 9000, "c/d": 9000},
                "dev_contigs": ("a",),
                "test_contigs": ("b",),
            },
            "'c/d' has other signs",
        ),
        (
            {"contig_bp": CONTIGS, "dev_contigs": ("a",), "test_contigs": ("a",)},
            "a contig is named twice",
        ),
        (
            {"contig_bp": CONTIGS, "dev_contigs": ("a", "b"), "test_contigs": ("c",)},
            "no contig is left for training",
        ),
        ({"gap_bp": (10, 5)}, r"gap_bp: found \(10, 5\), expected 1 <= low <= high"),
        ({"codons": (3, 90)}, r"codons: found \(3, 90\), expected 40 <= low <= high"),
        ({"intron_weights": (0, 0)}, "intron_weights: all are zero"),
        ({"donor_window_bp": 121}, "donor_window_bp: found 121, expected an even length"),
        ({"selection": {"stop_gained": 0.5}}, "less than or equal to 0.03"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        WorldConfig(**changes)


def test_all_problems_are_told_at_once():
    with pytest.raises(ValidationError, match=r"gap_bp: .*; codons: .*; donor_window_bp: "):
        WorldConfig(gap_bp=(9, 1), codons=(9, 1), donor_window_bp=33)
