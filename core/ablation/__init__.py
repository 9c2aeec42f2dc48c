"""Experiments on distillation, small enough for two cores: many short runs under one protocol, written to one table.

    python -m core ablate --list

What the runs are is declared in `core.lab.plan`, which pages read too; how they are trained, and how each of the
report's mistakes is made again, is here and nowhere else: the training of the shipped models knows no such switch.
"""
