"""A training run's state in one file, replaced atomically: a run killed at any moment finds the last one whole."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import UserError
from core.files import replacing
from core.training.recipes import Recipe

if TYPE_CHECKING:
    import keras

CHECKPOINT, BEST = "checkpoint.npz", "best.npz"
"""Its name in a run's folder, and that of the best epoch's weights."""


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        epoch: epochs finished.
        step: steps finished of the epoch under way.
        loss, correct, seen: sums over the epoch under way.
        seconds: training time so far.
        history: one row for each finished epoch.
        best_epoch: epoch (from 1) whose weights are kept, 0 before the first that counts.
        best_score: its validation score.
    """

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    correct: float = 0.0
    seen: int = 0
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    best_score: float = -1.0


def is_finished(progress: Progress, recipe: Mapping[str, Any]) -> bool:
    """Whether a run has come to its end: the last epoch, or out of patience.

    Patience counts from where the kind of epoch began that ends the run: what the head alone gained or not says
    nothing of the whole network.

    Args:
        progress: of the run.
        recipe: its `Recipe.to_dict()`.
    """
    kinds = [
        (stage["size"], bool(stage.get("head_only")))
        for stage in recipe["stages"]
        for _ in range(stage["epochs"])
    ]
    if progress.epoch >= len(kinds):
        return True
    patience = recipe.get("patience")
    if not patience or not progress.best_epoch:
        return False
    begins = next((i + 1 for i in reversed(range(len(kinds))) if kinds[i] != kinds[-1]), 0)
    return progress.epoch - max(progress.best_epoch, begins) >= patience


def save_checkpoint(
    path: Path,
    progress: Progress,
    recipe: dict,
    network: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    average: list[np.ndarray] | None,
) -> None:
    """Write everything that a resumed run needs: weights, optimizer, average, random state, progress, recipe."""
    state = json.dumps({"progress": vars(progress), "recipe": recipe})
    arrays = {f"network/{i}": _numpy(v) for i, v in enumerate(state_variables(network))}
    arrays |= {f"optimizer/{i}": _numpy(v) for i, v in enumerate(optimizer.variables)}
    arrays |= {f"average/{i}": a for i, a in enumerate(average or [])}
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        np.savez(file, state=np.frombuffer(state.encode(), np.uint8), **arrays)


def candidate(folder: Path, epoch: int) -> Path:
    """Where an epoch's weights wait that may be the best, until a checkpoint says so.

    Without the wait a run killed between the two would have weights of an epoch that it trains again, and that need not
    become the best then.
    """
    return folder / f"best-{epoch}.npz"


def settle_best(folder: Path, best_epoch: int) -> None:
    """Take over the weights that wait, if they are those of the checkpoint's best epoch; drop any others."""
    best = candidate(folder, best_epoch)
    if best.exists():
        best.replace(folder / BEST)
    for left in folder.glob("best-*.npz"):
        left.unlink()


@dataclass(frozen=True)
class Checkpoint:
    """A read checkpoint: progress and the arrays to put back."""

    progress: Progress
    network: list[np.ndarray]
    optimizer: list[np.ndarray]
    average: list[np.ndarray] | None

    @classmethod
    def read(cls, path: Path, recipe: dict) -> Checkpoint:
        """Read `path`, made by the same recipe.

        Raises:
            UserError: it is damaged, or was made by another recipe; the fields that differ are named.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                state = json.loads(file["state"].tobytes())
                groups = {
                    kind: [
                        file[key]
                        for key in sorted((k for k in file.files if k.startswith(kind)), key=_number)
                    ]
                    for kind in ("network/", "optimizer/", "average/")
                }
        except (OSError, ValueError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile) as error:
            raise UserError(
                f"{path}: expected a checkpoint, found a damaged file ({error}); start afresh with --restart"
            ) from error
        stored, wanted = _with_defaults(state["recipe"]), json.loads(json.dumps(recipe))
        if stored != wanted:
            keys = [k for k in sorted(stored.keys() | wanted.keys()) if stored.get(k) != wanted.get(k)]
            raise UserError(
                f"{path}: expected a checkpoint of this recipe, found one that differs in {', '.join(keys)}; "
                "finish that run with its own options or start afresh with --restart"
            )
        return cls(
            Progress(**state["progress"]),
            groups["network/"],
            groups["optimizer/"],
            groups["average/"] or None,
        )

    def restore(self, network: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
        """Put the arrays back into the network and the (built) optimizer."""
        for variable, value in zip(state_variables(network), self.network, strict=True):
            variable.assign(value)
        for variable, value in zip(optimizer.variables, self.optimizer, strict=True):
            variable.assign(value)


def read_state(path: Path) -> tuple[Progress, dict[str, Any]]:
    """How far a run has come, and its recipe as plain values.

    Raises:
        UserError: there is no checkpoint, or it is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            state = json.loads(file["state"].tobytes())
        return Progress(**state["progress"]), state["recipe"]
    except FileNotFoundError as error:
        raise UserError(f"expected a run in {path.parent}, found no checkpoint there") from error
    except (OSError, ValueError, EOFError, KeyError, TypeError, RuntimeError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: expected the checkpoint of a run, found {error}") from error


def state_variables(network: keras.Model) -> list:
    """Every variable that training changes in a network, in one order: weights and dropout's random state.

    Taken layer by layer, since a compiled model's own list holds its metrics too and changes with `trainable`.
    """
    return [variable for layer in network.layers for variable in layer.variables]


def _numpy(variable: keras.Variable) -> np.ndarray:
    import keras  # who only reads how far a run has come is spared its seconds

    return np.asarray(keras.ops.convert_to_numpy(variable.value if hasattr(variable, "value") else variable))


def _number(key: str) -> int:
    return int(key.split("/")[1])


def _with_defaults(stored: dict[str, Any]) -> dict[str, Any]:
    """A stored recipe with today's fields: what it has no value of was as that field's default has it."""
    try:
        return json.loads(json.dumps(Recipe.from_dict(stored).to_dict()))
    except (TypeError, KeyError, UserError):
        return stored  # It has fields that there are no more, and differs in them.
