"""What one would write without this project: `python -m core.benchmark.keras_loop MODEL FOLDER` decodes a folder with
OpenCV, asks Keras' `predict` in batches of 32, and prints the seconds from the first file to the last answer."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from core.errors import UserError
from core.settings import INPUT_SIZE

BATCH = 32


def main(model: str, folder: str) -> float:
    """Seconds of the loop; imports, the network and a first batch come before."""
    from core.artifacts import load_manifest
    from core.networks.trained import load_trained

    network = load_trained(load_manifest(), model)
    network.predict(np.zeros((BATCH, INPUT_SIZE, INPUT_SIZE, 3), np.float32), verbose=0)
    files = sorted(Path(folder).iterdir())
    start = time.perf_counter()
    answers = [
        network.predict(_read(files[first : first + BATCH]), verbose=0)
        for first in range(0, len(files), BATCH)
    ]
    seconds = time.perf_counter() - start
    if sum(map(len, answers)) != len(files):
        raise UserError(f"expected {len(files)} answers, found {sum(map(len, answers))}")
    return seconds


def _read(files: Sequence[Path]) -> np.ndarray:
    images = (cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB) for file in files)
    size = (INPUT_SIZE, INPUT_SIZE)
    return np.stack([cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in images]).astype(
        np.float32
    )


if __name__ == "__main__":
    try:
        print(json.dumps(main(*sys.argv[1:])))
    except UserError as error:
        sys.exit(str(error))
