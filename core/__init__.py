"""DermDistill: skin-lesion classification by knowledge distillation."""
