"""A network and a dataset small enough for tests, and a run of them as a program.

The network has the layer names of the real heads, which is all that training asks for.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path

import keras
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core.data.pixels import PixelStore
from core.lesions import N_CLASSES
from core.training.batches import ViewMaker
from core.training.loop import Trainer, TrainingData
from core.training.recipes import Distillation, Recipe, Stage
from core.training.teachers import CachedTeachers, Teacher

SIDE = 32
STAGES = (Stage(1, 32, head_only=True, learning_rate=1e-2), Stage(1, 32), Stage(2, 40))
"""All that can change between two epochs: what is trained, the rate, the resolution."""


def make_network(dropout: float = 0.3, seed: int = 5, hidden: int = 8) -> keras.Model:
    """Convolutions, batch normalisation, dropout; weights from numpy, so that every backend has the same."""
    # Not keras.utils.set_random_seed, which imports tensorflow under every backend.
    random.seed(seed)
    layers = keras.layers
    image = keras.Input((None, None, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="scaling")(image)
    x = layers.Conv2D(8, 5, strides=4, use_bias=False, name="conv")(x)
    x = layers.BatchNormalization(momentum=0.9, name="conv_bn")(x)
    x = layers.ReLU(name="conv_relu")(x)
    x = layers.GlobalAveragePooling2D(name="pool", dtype="float32")(x)
    x = layers.Dense(hidden, name="hidden", dtype="float32")(x)
    x = layers.ReLU(name="hidden_relu", dtype="float32")(x)
    x = layers.BatchNormalization(momentum=0.9, name="hidden_bn", dtype="float32")(x)
    x = layers.Dropout(dropout, name="dropout", dtype="float32")(x)
    network = keras.Model(image, layers.Dense(N_CLASSES, name="logits", dtype="float32")(x), name="tiny")
    rng = np.random.default_rng(seed)
    for variable in network.trainable_variables:
        if len(variable.shape) > 1:
            deviation = np.prod(variable.shape[:-1]) ** -0.5
            variable.assign(rng.normal(0, deviation, variable.shape).astype(np.float32))
    return network


def make_data(folder: Path, images: int = 140) -> TrainingData:
    """Images whose colour tells their class, mostly."""
    rng = np.random.default_rng(0)
    labels = np.arange(images) % N_CLASSES
    colours = rng.integers(40, 216, (N_CLASSES, 3))
    pixels = colours[labels][:, None, None] + rng.normal(0, 45, (images, SIDE, SIDE, 3))
    path = folder / "pixels.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        np.save(path, np.clip(pixels, 0, 255).astype(np.uint8))
    store = PixelStore(path, tuple(f"T_{i}" for i in range(images)))
    rows = rng.permutation(images)
    return TrainingData(store, labels, np.sort(rows[: images * 2 // 3]), np.sort(rows[images * 2 // 3 :]))


def make_recipe(**changes) -> Recipe:
    """A short recipe with everything in it that has a state."""
    return Recipe(
        **{
            "network": "tiny",
            "stages": STAGES,
            "learning_rate": 1e-2,
            "batch_size": 16,
            "ema": 0.9,
            "seed": 3,
        }
        | changes
    )


def soft_recipe(**changes) -> Recipe:
    """The same with two teachers' cached answers to two views."""
    distillation = Distillation(("first", "second"), temperature=2.0, alpha=0.6, teacher_size=SIDE)
    return make_recipe(**{"views": 2, "distillation": distillation} | changes)


def make_teachers() -> list[Teacher]:
    """Two networks with weights of their own."""
    return [
        Teacher(name, make_network(seed=seed, hidden=hidden), f"hash-{seed}")
        for name, seed, hidden in (("first", 11, 6), ("second", 12, 9))
    ]


def main() -> int:
    """Train in a folder and write down what came out."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--soft", action="store_true", help="with teachers")
    parser.add_argument("--dropout", type=float, default=0.3)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument(
        "--stages", type=int, default=len(STAGES), help="how many of the last stages to train"
    )
    options = parser.parse_args()
    data = make_data(options.folder)
    (options.folder / "run").mkdir(exist_ok=True)
    stages = STAGES[-options.stages :]
    recipe = soft_recipe(stages=stages) if options.soft else make_recipe(stages=stages)
    with ViewMaker(options.workers) as maker:
        teachers = make_teachers() if options.soft else None
        answers = teachers and CachedTeachers(teachers, recipe, data.store, data.train, options.folder, maker)
        network = make_network(options.dropout)
        progress = Trainer(recipe, data, network, options.folder / "run", maker, answers).run()
    result = {
        "backend": keras.config.backend(),
        "tensorflow": "tensorflow" in sys.modules,
        "history": progress.history,
        "best_epoch": progress.best_epoch,
    }
    (options.folder / "result.json").write_text(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
