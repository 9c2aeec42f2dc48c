"""The distillation lab: what soft labels are, what the loss is made of, and what the runs of `core.ablation` found."""
