"""Readers of outside formats; their coordinate conventions end here.

One format is one module (`fasta`, `twobit`, `vcf`, `gff3` and `annotation`, `bed`, `bedgraph`,
`delimited` tables, `text_lines`, `datasets_column`), each with an error class of its own that names
file and line or record. `fasta_bytes`, `fasta_stream`, `fasta_index`, `numbered_lines` and
`annotation_segments` are parts of them.
"""
