"""Keras -> LiteRT: float32, float16, dynamic-range int8 and full int8."""
