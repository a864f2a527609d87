"""Haplotypes: the two sequences that a person carries, from a reference and genotypes.

`alleles` says what one allele of a VCF record does, `sites` what a record comes to for everyone,
`base` applies alleles to a region and resolves overlaps, `mapping` relates coordinates both ways,
`cohort` does it for many people and windows in one pass over a file.
"""
