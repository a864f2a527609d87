"""Letters and codes, complements, intervals: what a DNA sequence is. Imports nothing heavy."""
