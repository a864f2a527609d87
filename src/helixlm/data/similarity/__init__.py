"""Which sequences are alike, exactly or nearly, on either strand; and what follows from it.

`digests` tell equal sequences, `sketch` those that share k-mers. On them stand `duplicates` (left
out of a corpus), `homology` (groups that are held out together) and `leaks` (what training and
validation share), which holds windows in a `leak_index` and reads `sequence_files` too.
"""
