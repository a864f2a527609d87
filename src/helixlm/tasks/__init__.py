"""Judging a model on labelled sequences, beside baselines that any model should beat."""
