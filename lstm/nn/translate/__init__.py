"""The encoder and the decoder of a translation, attention, the cross-entropy of many units, and beam search."""
