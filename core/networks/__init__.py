"""Keras graphs: raw RGB 0..255 in, logits out."""
