"""Figures: arrays in, `plotly.graph_objects.Figure` (or pixels) out. No streamlit, no files, no tensorflow."""
