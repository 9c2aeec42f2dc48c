"""Points of the compression curves: int8 files of one parent, asked about the same images and timed beside it."""

from __future__ import annotations

import zlib
from pathlib import Path

import keras
import numpy as np

from core.artifacts import Manifest
from core.benchmark import flat
from core.benchmark.hardware import this_machine
from core.benchmark.rounds import Subject, Timing, measure, ratio
from core.benchmark.runner import Runner
from core.compression.agreement import litert_answers
from core.compression.litert import convert
from core.compression.pruning import Target, epochs_of
from core.compression.variants import Images
from core.evaluation.compressed import WHOLE, Curves, Point
from core.networks.explaining import explaining_graph
from core.networks.trained import load_trained
from core.training.launch import Run
from core.training.loop import TrainingData
from core.training.scores import validation_figures

ROUNDS = 20
"""Of the timing, in which the whole file and the pruned one take turns."""

FILE = "pruned.tflite"


class Measuring:
    """Makes and measures int8 files.

    Args:
        manifest: of the artifacts.
        parent: the model that is pruned.
        data: of its split; its validation images are asked about.
        images: for the calibration.
    """

    def __init__(self, manifest: Manifest, parent: str, data: TrainingData, images: Images) -> None:
        self._manifest, self._parent, self._images = manifest, parent, images
        self._pixels = np.stack([np.asarray(data.store.pixels[row]) for row in data.validation])
        self._labels = data.labels[data.validation]
        self._whole: tuple[Path, dict[str, float], int] | None = None

    def curves(self, target: Target, run: Run) -> Curves:
        """The point of a finished run, and that of the whole network in the same rounds.

        The int8 file stays in the run's folder, as `FILE`.
        """
        # Without what it was compiled with, which copies of it would want to have, too.
        network = keras.Model(run.network.input, run.network.output, name=run.network.name)
        path = convert(explaining_graph(network), run.folder / FILE, "int8", self._images.calibration)
        if self._whole is None:
            self._whole = self._convert_whole(run.folder)
        whole_path, whole_figures, whole_weights = self._whole
        timed = self._time({WHOLE: whole_path, target.method: path})
        points = [
            _point(WHOLE, 1.0, whole_path, whole_figures, whole_weights, timed),
            _point(
                target.method, target.share, path, self._ask(path), nonzero(network), timed, epochs_of(run)
            ),
        ]
        weights = self._manifest.files[self._manifest.model(self._parent).files["weights"]]
        return Curves(self._parent, weights.sha256, len(self._labels), this_machine().text(), tuple(points))

    def _convert_whole(self, folder: Path) -> tuple[Path, dict[str, float], int]:
        network = load_trained(self._manifest, self._parent)
        path = folder / f"whole-{FILE}"
        convert(explaining_graph(network), path, "int8", self._images.calibration)
        return path, self._ask(path), nonzero(network)

    def _ask(self, path: Path) -> dict[str, float]:
        return validation_figures(litert_answers(path, self._pixels)["logits"], self._labels)

    def _time(self, paths: dict[str, Path]) -> dict[str, Timing]:
        one = self._pixels[:1]
        runners = {name: Runner(path.read_bytes(), name) for name, path in paths.items()}
        subjects = {
            name: Subject(name, lambda runner=runner: runner.run(one), calls=10)
            for name, runner in runners.items()
        }
        return measure(subjects, ROUNDS)


def nonzero(network: keras.Model) -> int:
    """Parameters that are not zero."""
    return sum(int(np.count_nonzero(array)) for array in network.get_weights())


def _point(
    method: str,
    share: float,
    path: Path,
    figures: dict[str, float],
    weights: int,
    timed: dict[str, Timing],
    epochs: int = 0,
) -> Point:
    content = path.read_bytes()
    return Point(
        method=method,
        share=share,
        accuracy=figures["val_accuracy"],
        balanced_accuracy=figures["val_balanced_accuracy"],
        weights=weights,
        multiply_adds=flat.multiply_adds(content),
        bytes=len(content),
        compressed_bytes=len(zlib.compress(content, 9)),
        milliseconds=timed[method].median,
        times=ratio(timed[method], timed[WHOLE]),
        epochs=epochs,
    )
