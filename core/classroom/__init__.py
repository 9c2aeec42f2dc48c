"""Distillation before one's eyes: a student so small that it learns in a minute, in a process of its own.

It is written in numpy, not in Keras: TensorFlow takes longer to import than a class wants to wait, and this way the
gradient that trains is the very one that the lab page takes apart (`core.lab.loss`).
"""
