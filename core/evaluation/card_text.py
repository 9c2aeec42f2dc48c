"""What a manifest stores of a model's making, as rows for people; what it holds besides is shown as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core.evaluation.agreement import Agreement
from core.evaluation.contestants import NUMBER_FORMATS

Row = tuple[str, str]
"""What, and its value."""

NAMES: dict[str, str] = {
    "balance": "balance of the classes",
    "ema": "average of weights over steps (EMA), decay",
    "focal_gamma": "focal loss, gamma",
    "final_rate": "rate at the end, of the peak",
    "learning_rate": "peak learning rate",
    "mixup": "mixup, alpha",
    "patience": "early stopping after epochs",
    "reoriented": "views turned anew every epoch",
    "served_statistics": "batch normalisation measured anew on images as they are served",
    "views": "fixed augmented views of an image",
    "warmup_epochs": "epochs of warm-up",
    "xla": "compiled by XLA",
}
"""Fields of a recipe whose name alone says too little."""

BALANCES: dict[str, str] = {"oversample": "oversampling", "sqrt": "square-root class weights"}
"""A recipe's `balance` in words."""

OFF: dict[str, object] = {
    "label_smoothing": 0, "focal_gamma": 0, "logit_adjustment": 0, "mixup": 0, "weight_decay": 0, "patience": None,
    "ema": None, "xla": False, "reoriented": False, "served_statistics": False,
    "distillation": None,
}  # fmt: skip
"""Fields of a recipe that do nothing at this value, which are named together."""


def plain(value: object) -> str:
    """A value of the manifest as text for people."""
    if value is None or value == "" or value == [] or value == {}:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{_words(key)} {plain(item)}" for key, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "; ".join(plain(item) for item in value)
    return str(value)


def recipe_rows(recipe: Mapping[str, Any]) -> list[Row]:
    """A recipe: stages in words, distillation's fields each on its own, and what it leaves off in one row."""
    rows, off = [], []
    for key, value in recipe.items():
        if key in OFF and value == OFF[key]:
            off.append(_words(key))
        elif key == "balance":
            rows.append((NAMES[key], BALANCES.get(str(value), plain(value))))
        elif key == "stages":
            rows.append((key, _or_plain(_stages, value)))
        elif key == "distillation" and isinstance(value, Mapping):
            rows += [(f"distillation: {_words(name)}", plain(item)) for name, item in value.items()]
        else:
            rows.append((NAMES.get(key, _words(key)), plain(value)))
    return rows + ([("not used", ", ".join(off))] if off else [])


def provenance_rows(provenance: Mapping[str, Any]) -> list[Row]:
    """Where a model comes from: durations, means of runs, pruning and conversion in words."""
    rows = []
    for key, value in provenance.items():
        if key == "compression" and isinstance(value, Mapping):
            rows += _conversion(value)
            continue
        name, said = PROVENANCE.get(key, (_words(key), plain))
        if key == "mean_of" and isinstance(value, list) and len(value) == 1:
            name = "weights of"  # that run alone: no mean was as good on validation
        rows.append((name, _or_plain(said, value)))
    return rows


def _words(key: object) -> str:
    return str(key).replace("_", " ")


def _or_plain(said: Callable[[Any], str], value: object) -> str:
    """In words, or as it is where the manifest holds something else than our own commands write."""
    try:
        return said(value)
    except (KeyError, TypeError, ValueError, AttributeError):
        return plain(value)


def _stages(stages: Sequence[Mapping[str, Any]]) -> str:
    """`3 epochs at 160 px, then 2 at 224 px`."""
    said = []
    for stage in stages:
        epochs = int(stage["epochs"])
        counted = f"{epochs} epoch{'' if epochs == 1 else 's'}" if not said else f"{epochs}"
        alone = ", of the head alone" if stage.get("head_only") else ""
        rate = f" (peak rate {stage['learning_rate']:g})" if stage.get("learning_rate") else ""
        said.append(f"{counted} at {int(stage['size'])} px{alone}{rate}")
    return ", then ".join(said)


def _duration(seconds: float) -> str:
    """`1 h 4 min`."""
    hours, minutes = divmod(round(float(seconds) / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else f"{seconds:.0f} s"


def _mean_of(runs: Sequence[Mapping[str, Any]]) -> str:
    return "; ".join(
        f"{run['name']} (validation: accuracy {run['val_accuracy']:.1%}, balanced {run['val_balanced_accuracy']:.1%}, "
        f"macro F1 {run['val_macro_f1']:.1%}, loss {run['val_loss']:.3f})"
        for run in runs
    )


def _pruning(values: Mapping[str, Any]) -> str:
    if values["method"] != "channels":
        raise ValueError(values["method"])
    return (
        f"whole channels, to {values['share']:.0%} of the multiply-adds and {values['size']:.0%} of the size, chosen "
        f"by {values['score']} score on {int(values['images'])} images of each class"
    )


def _conversion(values: Mapping[str, Any]) -> list[Row]:
    kind = values.get("kind")
    rows = [("numbers in the file", NUMBER_FORMATS.get(str(kind), plain(kind)))]
    if "calibration_images" in values:
        images = f"{plain(values['calibration_images'])} images of {plain(values.get('images'))}"
        rows.append(("ranges of activations from", images))
    agreement = values.get("agreement_with_keras_on_validation")
    rows.append(("file beside Keras, on validation", _or_plain(_agreement, agreement)))
    return rows


def _agreement(found: Mapping[str, Any]) -> str:
    return f"{Agreement(**found).text()}; signal to noise {found['signal_to_noise_db']:.1f} dB"


PROVENANCE: dict[str, tuple[str, Callable[[Any], str]]] = {
    "images": (
        "images",
        lambda seen: f"{seen['train']:,} for training, {seen['validation']:,} for validation",
    ),
    "training_seconds": ("training time of this run", _duration),
    "mean_of": ("mean of the weights of", _mean_of),
    "pruning": ("pruned of", _pruning),
    "statistics": ("statistics of batch normalisation", str),
}
"""Entries of the provenance that are said in words."""
