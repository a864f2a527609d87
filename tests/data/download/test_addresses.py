"""Addresses against ones that are published, and folders as servers list them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helixlm.data.download.addresses import AddressError, find_address, ucsc_address
from helixlm.data.download.checksums import ChecksumError, find_checksum

APACHE = """<html><head><title>Index of /</title></head><body><pre>
<a href="?C=N;O=D">Name</a> <a href="/genomes/all/GCF/000/">Parent Directory</a>
{links}
</pre></body></html>"""


def folders(**listings):
    """Give a function that reads folders, and the list of those that it was asked for."""
    asked = []

    def read(url):
        asked.append(url)
        for end, names in listings.items():
            if url.rstrip("/").endswith(end):
                return APACHE.format(links="\n".join(f'<a href="{n}">{n}</a>' for n in names))
        return None

    return read, asked


@pytest.mark.parametrize(
    ("accession", "assembly", "url"),
    [
        # as they stand in public scripts
        ("GCF_000001405.40", "GRCh38.p14",
         "GCF/000/001/405/GCF_000001405.40_GRCh38.p14/GCF_000001405.40_GRCh38.p14_genomic.fna.gz"),
        ("GCF_000001635.25_GRCm38.p5", "",
         "GCF/000/001/635/GCF_000001635.25_GRCm38.p5/GCF_000001635.25_GRCm38.p5_genomic.fna.gz"),
        ("GCA_001624865.1", "SPRET_EiJ_v1",
         "GCA/001/624/865/GCA_001624865.1_SPRET_EiJ_v1/GCA_001624865.1_SPRET_EiJ_v1_genomic.fna.gz"),
    ],
)  # fmt: skip
def test_ncbi_with_the_name_of_the_assembly(accession, assembly, url):
    read, asked = folders()
    found = find_address(accession, assembly, read)
    assert found.url == f"https://ftp.ncbi.nlm.nih.gov/genomes/all/{url}"
    assert found.checksums == f"{found.url.rpartition('/')[0]}/md5checksums.txt"
    assert asked == []


def test_blanks_in_the_name_of_an_assembly():
    read, _ = folders()
    found = find_address("GCA_000000001.1", "my assembly v1", read)
    assert "/GCA_000000001.1_my_assembly_v1/" in found.url


@given(st.integers(1, 10**9 - 1), st.integers(1, 60))
def test_any_accession_finds_its_folder(number, version):
    """The folder is that of digits 1-3, 4-6 and 7-9, and of just that version."""
    digits = f"{number:09d}"
    name = f"GCA_{digits}.{version}"
    names = [f"{name}_asm/", f"{name}0_asm/", f"GCA_{digits}.{version + 100}_asm/"]
    read, asked = folders(**{digits[6:]: names})
    found = find_address(name, "", read)
    assert asked == [
        f"https://ftp.ncbi.nlm.nih.gov/genomes/all/GCA/{digits[:3]}/{digits[3:6]}/{digits[6:]}/"
    ]
    assert found.url == f"{asked[0]}{name}_asm/{name}_asm_genomic.fna.gz"


def test_a_version_that_ncbi_does_not_have():
    read, _ = folders(**{"405": ["GCF_000001405.39_GRCh38.p13/", "GCF_000001405.40_GRCh38.p14/"]})
    message = (
        "found 0 folders of GCF_000001405.41, expected one; assemblies there: "
        "GCF_000001405.39_GRCh38.p13, GCF_000001405.40_GRCh38.p14: check the version"
    )
    with pytest.raises(AddressError, match=message):
        find_address("GCF_000001405.41", "", read)
    with pytest.raises(AddressError, match="999/: the server has no such folder: check the acc"):
        find_address("GCF_999999999.1", "", read)
    read, _ = folders(**{"405": []})
    with pytest.raises(AddressError, match="assemblies there: none"):
        find_address("GCF_000001405.40", "", read)


def test_ucsc():
    found = find_address("ucsc:hg38", "", folders()[0])
    assert found == ucsc_address("hg38")
    assert found.url == "https://hgdownload.soe.ucsc.edu/goldenPath/hg38/bigZips/hg38.fa.gz"
    assert found.checksums == "https://hgdownload.soe.ucsc.edu/goldenPath/hg38/bigZips/md5sum.txt"


HUMAN = [
    "CHECKSUMS",
    "Homo_sapiens.GRCh38.dna.primary_assembly.fa.gz",
    "Homo_sapiens.GRCh38.dna_rm.primary_assembly.fa.gz",
    "Homo_sapiens.GRCh38.dna_sm.chromosome.1.fa.gz",
    "Homo_sapiens.GRCh38.dna_sm.primary_assembly.fa.gz",
    "Homo_sapiens.GRCh38.dna_sm.toplevel.fa.gz",
]
DUCK = ["Anas_zonorhyncha.ASM222487v1.dna_sm.toplevel.fa.gz"]


def test_ensembl():
    read, asked = folders(
        **{
            "homo_sapiens/dna": HUMAN,
            "homo_sapiens/cds": ["Homo_sapiens.GRCh38.cds.all.fa.gz"],
            "anas_zonorhyncha/dna": DUCK,
        }
    )
    base = "https://ftp.ensembl.org/pub/release-113/fasta"
    human = find_address("ensembl:113/homo_sapiens", "", read)
    assert human == (f"{base}/homo_sapiens/dna/{HUMAN[4]}", "")
    assert asked == [f"{base}/homo_sapiens/dna/"]
    cds = find_address("ensembl:113/homo_sapiens/cds", "GRCh38", read)
    assert cds.url == f"{base}/homo_sapiens/cds/Homo_sapiens.GRCh38.cds.all.fa.gz"
    duck = find_address("ensembl:113/anas_zonorhyncha", "ASM222487v1", read)
    assert duck.url == f"{base}/anas_zonorhyncha/dna/{DUCK[0]}"


def test_ensembl_has_another_assembly_or_nothing():
    read, _ = folders(**{"homo_sapiens/dna": HUMAN, "empty/dna": ["README"]})
    with pytest.raises(AddressError, match="found assembly GRCh38, expected GRCh37: choose the"):
        find_address("ensembl:113/homo_sapiens", "GRCh37", read)
    message = "no file that ends in dna_sm.primary_assembly or dna_sm.toplevel.fa.gz among 1: check"
    with pytest.raises(AddressError, match=message):
        find_address("ensembl:113/empty", "", read)


MD5 = "1c9dcaddfa41027f17cd8f7a82c7293b"
SHA256 = "c1dd87068c254eb53d944f71e51d1311964fce8de24d6fc0effc9c61c01527d4"
OTHER = "0" * 32


@pytest.mark.parametrize(
    "text",
    [
        f"{OTHER}  ./part/x.fa.gz\n{MD5}  ./x.fa.gz\n{OTHER}  ./x.fa.gz_report.txt\n",  # NCBI
        f"{OTHER}  x.2bit\n{MD5}  x.fa.gz\n",  # UCSC
        f"x.fa.gz.tbi {OTHER}\nx.fa.gz {MD5}\n",  # 1000 Genomes
        f"# made today\n{MD5.upper()} *x.fa.gz\r\n",  # md5sum --binary, Windows line ends
    ],
)
def test_published_lists(text):
    assert find_checksum(text, "x.fa.gz", "list") == (MD5, "")


def test_a_list_of_sha256():
    assert find_checksum(f"{SHA256}  x.fa\n", "x.fa", "list") == ("", SHA256)


def test_lists_that_do_not_help():
    with pytest.raises(ChecksumError, match=r"list: lists 1 file\(s\), but not y\.fa"):
        find_checksum(f"{MD5}  x.fa\n", "y.fa", "list")
    message = r"list: expected a list of checksums, found '<html> not found': take 'checksums' out"
    with pytest.raises(ChecksumError, match=message):
        find_checksum("<html> not found", "y.fa", "list")
