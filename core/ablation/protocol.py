"""The one protocol of all runs: what is the same in every cell, as a recipe of `core.training`."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from core.errors import UserError
from core.lab.variants import Variant
from core.training.recipes import Distillation, Recipe, Stage

IMAGENET = "imagenet"
"""Instead of a file of initial weights: Keras' download."""


@dataclass(frozen=True)
class Protocol:
    """Resolution and budget, chosen so that a run takes some minutes on two cores.

    On validation, 64 px gave the repaired recipe 0.756 of accuracy and 80 px 0.772 (one run each), for half as much
    time again. Every image weighs the same unless a run says otherwise.

    Attributes:
        size: side of the student's input in pixels.
        epochs: times that it sees as many images as the training part has, also when it may use a share of them.
        batch_size: images a step.
        learning_rate: peak of warm-up and cosine.
        views: fixed augmented views of each image, used in turn.
        view_seed: of these views; one for all runs, so that the teachers answer each view once.
        teacher_size: side of the teachers' view of the same pixels.
        starved_size: the same for the teacher that is starved on purpose, whose answers nobody has cached.
        limit: images of each part, to try the command out; None is all of them.
    """

    size: int = 80
    epochs: int = 6
    batch_size: int = 64
    learning_rate: float = 1e-3
    views: int = 3
    view_seed: int = 1
    teacher_size: int = 160
    starved_size: int = 128
    limit: int | None = None

    @property
    def is_trial(self) -> bool:
        """Whether its runs are to try the command out, and have no place among the artifacts."""
        return self != Protocol()


def recipe_of(variant: Variant, protocol: Protocol) -> Recipe:
    """The healthy recipe that a run begins from; its mistakes are made on the way (`core.ablation.mistakes`)."""
    return Recipe(
        network="mobilenetv2",
        stages=(Stage(protocol.epochs, protocol.size),),
        learning_rate=protocol.learning_rate,
        batch_size=protocol.batch_size,
        balance=variant.balance,
        views=protocol.views,
        ema=None,
        seed=variant.seed,
        split=variant.split,
        distillation=Distillation(
            teachers=variant.teachers,
            temperature=variant.temperature,
            alpha=variant.alpha,
            teacher_size=protocol.teacher_size,
        )
        if variant.teachers
        else None,
    )


def described(variant: Variant, protocol: Protocol) -> dict[str, Any]:
    """All that decides a run but for the weights and pixels that it begins from, JSON-ready."""
    return recipe_of(variant, protocol).to_dict() | {
        "protocol": dataclasses.asdict(protocol),
        "start": variant.start,
        "hint": variant.hint,
        "share": variant.share,
        "mistakes": list(variant.mistakes),
        "kept": "the epoch with the lowest validation loss",
    }


def fingerprint(recipe: dict[str, Any], **materials: str) -> str:
    """A digest of a run's recipe and of what it is made from: teachers' weights, images, initial weights."""
    return hashlib.sha256(json.dumps([recipe, materials], sort_keys=True).encode()).hexdigest()[:16]


def initial_files(texts: list[str]) -> dict[str, str]:
    """`NETWORK=FILE` options as a mapping; networks that are not named take `imagenet`, Keras' download.

    Raises:
        UserError: another network or form.
    """
    found = {"mobilenetv2": IMAGENET, "resnet50": IMAGENET}
    for text in texts:
        network, sign, path = text.partition("=")
        if network not in found or not sign or not path:
            raise UserError(f"--init: expected mobilenetv2=FILE or resnet50=FILE, found {text!r}")
        found[network] = path
    return found
