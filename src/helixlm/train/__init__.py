"""Pretraining: batches, masking, loss, optimiser, checkpoints and the loop."""
