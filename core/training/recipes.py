"""Recipes: everything that decides what a training run gives, as frozen dataclasses, stored with every model."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from core.errors import UserError
from core.training.fields import DISTILLATION_FIELDS, FIELDS, SMALLEST_SIZE, Rule


@dataclass(frozen=True)
class Stage:
    """Some epochs at one resolution.

    Attributes:
        epochs: passes over the training images.
        size: side of the input in pixels.
        head_only: train the head alone, on frozen features (its batch normalisation in inference mode).
        learning_rate: peak of this stage's schedule; None continues the recipe's one schedule over all stages
            that train the whole network.
    """

    epochs: int
    size: int = 224
    head_only: bool = False
    learning_rate: float | None = None

    @property
    def phase(self) -> tuple[bool, float | None]:
        """What it has in common with the stages that it shares a schedule with."""
        return self.head_only, self.learning_rate

    def __str__(self) -> str:
        return f"{'head' if self.head_only else ''}{self.epochs}x{self.size}"


@dataclass(frozen=True)
class Distillation:
    """How a student learns from teachers.

    loss = alpha * T^2 * KL(softmax(teacher / T) || softmax(student / T)) + (1 - alpha) * cross-entropy

    Attributes:
        teachers: names of trained models.
        temperature: T.
        alpha: weight of the soft term. (The report's section 4.2 and code use the same sense, its sections 3.1
            and 4.1 the opposite.)
        average: what of several teachers is averaged: their `logits` or their softened `probabilities`.
        teacher_size: side of the teachers' input in pixels, for cached answers; teachers that answer online see
            the student's own pixels.
        teacher_statistics: of batch normalisation: the teachers' `own`, or measured anew on `views` as the student
            sees them. Teachers whose own are of images as they are served answer views worse.
    """

    teachers: tuple[str, ...]
    temperature: float = 2.0
    alpha: float = 0.7
    average: str = "logits"
    teacher_size: int = 224
    teacher_statistics: str = "own"


@dataclass(frozen=True)
class Recipe:
    """One training run, whole.

    Attributes:
        network: key of `core.networks.classifiers.NETWORKS`.
        stages: resolutions and epochs, in order.
        learning_rate: peak rate; warm-up and cosine decay run over all stages that train the whole network.
        final_rate: share of the peak at the end of the decay.
        warmup_epochs: epochs (fractions allowed) of linear warm-up.
        weight_decay: AdamW's, on kernels only; 0 gives Adam's behaviour.
        batch_size: images a step.
        label_smoothing: share of the hard target spread over all classes.
        balance: `none`, `oversample` (the report's) or `sqrt` weights.
        focal_gamma: exponent of the focal loss; 0 is cross-entropy.
        logit_adjustment: tau of Menon et al. (2021): tau * log(prior) is added to the logits of the hard loss.
        augmentation: key of `core.data.augmentation.AUGMENTATIONS`.
        views: number of fixed augmented views of each image, used in turn; None draws a new one every epoch.
            Distillation from cached logits needs a number, and its baseline the same number.
        reoriented: every epoch shows each view in one of the eight orientations, drawn anew for each image. What
            teachers answered to a view stands for all eight: dermatoscopy has no upright.
        mixup: alpha of mixup's Beta distribution; 0 is off. Needs teachers to answer online.
        ema: decay of the average of weights, per step; None is off. Validation and the result use the average.
        served_statistics: before each validation of the last stage's size batch normalisation's statistics are
            measured anew on all training images as they are served, and validation sees those, too; the result has
            them. See `core.training.statistics`.
        precision: Keras' dtype policy.
        xla: compile the step with XLA (always so on jax; on TensorFlow's CPU it is several times slower).
        seed: of initial weights, order, views and dropout.
        split: `lesion` or `report`.
        patience: epochs without a better validation score before stopping; None never stops early.
        distillation: None for a model that learns from labels alone.
    """

    network: str
    stages: tuple[Stage, ...]
    learning_rate: float
    final_rate: float = 0.01
    warmup_epochs: float = 0.5
    weight_decay: float = 0.05
    batch_size: int = 32
    label_smoothing: float = 0.0
    balance: str = "sqrt"
    focal_gamma: float = 0.0
    logit_adjustment: float = 0.0
    augmentation: str = "strong"
    views: int | None = None
    reoriented: bool = False
    mixup: float = 0.0
    ema: float | None = 0.99
    served_statistics: bool = False
    precision: str = "float32"
    xla: bool = False
    seed: int = 1
    split: str = "lesion"
    patience: int | None = None
    distillation: Distillation | None = None

    def __post_init__(self) -> None:
        if not self.stages:
            raise UserError("recipe: expected at least one stage, found none")
        for stage in self.stages:
            if stage.epochs < 1 or stage.size < SMALLEST_SIZE:
                raise UserError(
                    f"stages: expected at least 1 epoch at {SMALLEST_SIZE} px or more, "
                    f"found {stage.epochs} at {stage.size} px"
                )
        phases = [phase for phase, _ in groupby(self.stages, key=lambda stage: stage.phase)]
        if len(set(phases)) < len(phases):
            raise UserError(
                "stages: expected those that share a schedule beside each other, found others between them: "
                + ", ".join(str(stage) for stage in self.stages)
            )
        _check(self, FIELDS)
        if self.served_statistics and self.stages[-1].head_only:
            raise UserError(
                "served_statistics: expected a last stage that trains the whole network, found one of the head alone, "
                "in which batch normalisation stays as it is"
            )
        if self.distillation:
            _check(self.distillation, DISTILLATION_FIELDS)
            if self.mixup and self.views is not None:
                raise UserError(
                    f"mixup: expected teachers that answer each mixture as it comes (--set views=null), found answers "
                    f"to {self.views} fixed views"
                )

    @property
    def epochs(self) -> int:
        """Epochs of all stages together."""
        return sum(stage.epochs for stage in self.stages)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        """The inverse of `to_dict`, also after JSON has turned tuples into lists."""
        values = dict(values)
        values["stages"] = tuple(Stage(**stage) for stage in values["stages"])
        if values.get("distillation"):
            distillation = dict(values["distillation"])
            distillation["teachers"] = tuple(distillation["teachers"])
            values["distillation"] = Distillation(**distillation)
        return cls(**values)


def _check(owner: Recipe | Distillation, rules: dict[str, Rule]) -> None:
    for key, (is_right, expected) in rules.items():
        if not is_right(getattr(owner, key)):
            raise UserError(f"{key}: expected {expected}, found {getattr(owner, key)!r}")


def _report(network: str) -> Recipe:
    """The report's hyperparameters as it states them: 20 epochs of Adam at 1e-4, its augmentation and oversampling.

    Repaired are its mistakes alone: raw pixels with each network's own scaling, the split by lesion. Its teachers'
    frozen backbones stay frozen; its student starts from nothing, as it did.
    """
    frozen = network != "mobilenetv2"
    return Recipe(
        network=network,
        stages=(Stage(20, head_only=frozen),),  # at the recipe's rate, so that --set learning_rate changes it
        learning_rate=1e-4 if frozen else 1e-3,
        final_rate=1.0,
        warmup_epochs=0.0,
        weight_decay=0.0,
        balance="oversample",
        augmentation="report",
        ema=None,
        patience=10,
    )


_LARGE = {"precision": "mixed_bfloat16", "ema": 0.98}

TUNED: dict[str, Recipe] = {
    "resnet50": Recipe(
        "resnet50", (Stage(5, 128), Stage(2, 160), Stage(1, 224)), learning_rate=4e-4, **_LARGE
    ),
    "densenet169": Recipe(
        "densenet169", (Stage(5, 128), Stage(2, 160), Stage(1, 224)), learning_rate=4e-4, **_LARGE
    ),
    "mobilenetv2": Recipe(
        network="mobilenetv2",
        stages=(Stage(8, 224),),
        learning_rate=3e-4,
        views=4,
        reoriented=True,
        ema=0.99,
        seed=4,
    ),
}
"""Our recipes for learning from labels, chosen on validation. They begin with ImageNet's weights; MobileNetV2's also
goes on from those of an earlier round, as `make models` has it, by views that it has not seen before, hence the
seed."""

TAUGHT: dict[str, Recipe] = {
    # Both teachers have learned before and go on from there, by views that they have not seen before, hence the seeds.
    "resnet50": Recipe(
        "resnet50", (Stage(8, 224),), learning_rate=4e-4, views=4, reoriented=True, seed=6, **_LARGE
    ),
    "densenet169": Recipe("densenet169", (Stage(4, 224),), learning_rate=5e-4, views=4, seed=4, **_LARGE),
    "mobilenetv2": TUNED["mobilenetv2"],
}
"""The same for learning from teachers. The student's is its baseline's: distillation is added to it, nothing else."""


def recipe_for(name: str, network: str, *, taught: bool = False) -> Recipe:
    """The named recipe for a network that learns from labels alone, or from teachers too.

    Raises:
        UserError: there is no such recipe or network.
    """
    if network not in TUNED:
        raise UserError(f"network: expected one of {', '.join(TUNED)}, found {network!r}")
    if name == "tuned":
        return (TAUGHT if taught else TUNED)[network]
    if name == "report":
        return _report(network)
    raise UserError(f"recipe: expected report or tuned, found {name!r}")


def distilled(recipe: Recipe, distillation: Distillation) -> Recipe:
    """The same recipe with teachers: nothing else changes, so that the difference is distillation's."""
    return dataclasses.replace(recipe, distillation=distillation)


def customised(
    recipe: Recipe,
    changes: list[str],
    stages: str | None = None,
    split: str | None = None,
    seed: int | None = None,
) -> Recipe:
    """A recipe with some fields replaced, as given on the command line.

    Args:
        recipe: where to begin.
        changes: `FIELD=VALUE`, the value in JSON or as Python writes it (other bare words are taken as text).
        stages: `EPOCHSxSIZE,...`, each with `head` before it for the head alone.
        split, seed: replacements, None to keep.

    Raises:
        UserError: an unknown field, or a value of another type than the field's.
    """
    values: dict[str, Any] = {}
    for change in changes:
        key, _, text = change.partition("=")
        values[key] = _parse_field(recipe, key, text)
    if stages is not None:
        values["stages"] = tuple(_parse_stage(text) for text in stages.split(","))
    if split:
        values["split"] = split
    if seed is not None:
        values["seed"] = seed
    return dataclasses.replace(recipe, **values)


def _parse_field(recipe: Recipe, key: str, text: str) -> Any:
    plain = [
        f.name for f in dataclasses.fields(Recipe) if f.name not in ("network", "stages", "distillation")
    ]
    if key not in plain:
        raise UserError(f"--set: expected one of the fields {', '.join(plain)}, found {key!r}")
    try:
        value = json.loads({"True": "true", "False": "false", "None": "null"}.get(text, text))
    except json.JSONDecodeError:
        value = text
    current = getattr(recipe, key)
    if current is not None and value is not None and isinstance(current, str) != isinstance(value, str):
        raise UserError(f"--set {key}: expected a value like {current!r}, found {value!r}")
    return value


def _parse_stage(text: str) -> Stage:
    match = re.fullmatch(r"(head)?(\d+)x(\d+)", text.strip())
    if not match:
        raise UserError(f"--stages: expected EPOCHSxSIZE such as 4x128 or head4x128, found {text!r}")
    return Stage(int(match[2]), int(match[3]), head_only=bool(match[1]))
