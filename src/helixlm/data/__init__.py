"""Readers and writers: every outside format and coordinate convention ends here."""
