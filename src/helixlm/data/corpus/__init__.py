"""Corpora: how they are made, and how a finished one is read.

`base` is the format and the reader; `prepare` makes a corpus: by a `plan`, what is `held_out`, and
`tasks` that workers share, whose `rows` (or `record_rows`) go into `window_files` by their
`weights`, counted in a `tally`; then `unique_rows`, `coverage` and the `manifest`.
"""
