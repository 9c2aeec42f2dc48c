"""Predictions -> figures of merit, with intervals over lesions. Nothing here imports tensorflow or keras."""
