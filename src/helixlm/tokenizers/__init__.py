"""From letters to token ids and back, with the bases that each token covers."""
