"""Smaller and faster forms of a trained network: LiteRT in float16 and int8, fewer channels, fewer weights."""
