"""`benchmark batch`: `python -m core predict` on a folder, against a plain loop of Keras' `predict`."""

from __future__ import annotations

import csv
import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from core.artifacts import Manifest
from core.benchmark.bars import Bar
from core.benchmark.hardware import Hardware
from core.benchmark.memory import ChildFailed
from core.benchmark.process import Watched, machine_of_commands, watch
from core.benchmark.rounds import Progress
from core.benchmark.store import stamp
from core.data.findings import DatasetError
from core.data.ham10000 import Dataset, open_dataset
from core.data.pixels import decode
from core.data.samples import SYNTHETIC_SIZE, synthetic_sample
from core.errors import UserError
from core.lesions import CODES
from core.settings import ARTIFACTS

MODEL = "student-int8"
IMAGES = 1000
DRAWN = 70
"""Synthetic lesions take a while to draw: so many different ones, the rest are links to them."""
QUALITY = 95
RATE, TIMES_KERAS, MEGABYTES = 150.0, 3.0, 600.0


@dataclass(frozen=True, eq=False)
class BatchCosts:
    """What was measured.

    Attributes:
        hardware: where, with the cores that the commands got.
        model: that was asked.
        source: the images, in words.
        runs: images -> all runs of `predict` on so many.
        loops: all runs of the plain loop over the first number of images; empty where there was none.
        loop_seconds: of each of them, without its start: from the first file to the last answer.
        start_s: how long `predict` takes for a single image, which is its start.
        statuses: of the rows of the last run.
        notes: what is missing, and why.
    """

    hardware: Hardware
    model: str
    source: str
    runs: Mapping[int, Sequence[Watched]]
    loops: Sequence[Watched]
    loop_seconds: Sequence[float]
    start_s: float
    statuses: Mapping[str, int]
    notes: Sequence[str]

    def rate(self, count: int) -> float:
        """Images a second from the command's start to its end, the median of all runs."""
        return float(np.median([count / run.seconds for run in self.runs[count]]))

    def times_faster(self) -> tuple[float, float] | None:
        """How many times as long the loop takes: both programs from start to end, and both without their starts."""
        if not self.loops:
            return None
        runs = [run.seconds for run in self.runs[min(self.runs)]]
        whole = [loop.seconds / run for loop, run in zip(self.loops, runs, strict=True)]
        inner = [
            seconds / max(run - self.start_s, 1e-3)
            for seconds, run in zip(self.loop_seconds, runs, strict=True)
        ]
        return float(np.median(whole)), float(np.median(inner))

    def bars(self) -> list[Bar]:
        """What was asked for, of `MODEL` and `IMAGES` or more: of fewer, most of the time is the start."""
        first, times = min(self.runs), self.times_faster()
        whole, inner = times or (None, None)
        rate: float | None = self.rate(first)
        note = "" if times else "no Keras weights, or not asked for"
        other = ""
        if first < IMAGES or self.model != MODEL:
            rate = whole = inner = None
            note = other = f"asked of {IMAGES:,} images and {MODEL}"
        peaks = [
            Bar(f"peak memory for {count:,} images", max(peak) / 1e6 if peak else None, MEGABYTES, unit=" MB")
            for count, runs in self.runs.items()
            for peak in [[run.peak_bytes for run in runs if run.peak_bytes]]
        ]
        return [
            Bar(f"{first:,} images, from start to end", rate, RATE, False, " images/s", other),
            Bar("times faster than a loop of Keras predict, both from start to end", whole, TIMES_KERAS, False,
                note=note),
            Bar("the same without the start of either program", inner, TIMES_KERAS, False, note=note),
            *peaks,
        ]  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """As it is stored."""
        return {
            **stamp(self.hardware),
            "model": self.model,
            "images": self.source,
            "runs": [
                {
                    "images": count,
                    "seconds": round(run.seconds, 2),
                    "processor_ms_per_image": round(1e3 * run.processor_seconds / count, 2),
                    "peak_bytes": run.peak_bytes,
                }
                for count, runs in self.runs.items()
                for run in runs
            ],
            "start_seconds": round(self.start_s, 2),
            "keras_loops": [
                {"seconds": round(loop.seconds, 2), "without_start": round(seconds, 2)}
                for loop, seconds in zip(self.loops, self.loop_seconds, strict=True)
            ],
            "statuses": dict(self.statuses),
            "bars": [bar.to_dict() for bar in self.bars()],
        }


def measure_batch(
    manifest: Manifest,
    *,
    model: str = MODEL,
    images: Sequence[int] = (IMAGES,),
    rounds: int = 3,
    with_keras: bool = True,
    progress: Progress | None = None,
) -> BatchCosts:
    """Classify a temporary folder with the command itself, and with a plain loop of Keras, by turns.

    Args:
        manifest: of the artifacts.
        model: whom to ask.
        images: how many; the first of them is also what the loop classifies, in every round. The others once.
        rounds: of predict and loop.
        with_keras: whether the loop runs.
        progress: see `core.benchmark.rounds.measure`.

    Raises:
        UserError: the model is not there, or a run failed.
    """
    entry = manifest.model(model)
    family = [manifest.models[name] for name in (model, entry.parent) if name in manifest.models]
    parent = next((one.name for one in family if "weights" in one.files), None)
    notes = [] if parent or not with_keras else [f"no loop of Keras: {model} and its parent have no weights"]
    first, *others = images
    looped = with_keras and parent is not None
    plan = [(first, False), *([(first, True)] if looped else [])] * rounds
    plan += [(count, False) for count in others]
    runs: dict[int, list[Watched]] = {}
    loops: list[tuple[Watched, float]] = []
    statuses: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="dermdistill-") as work:
        made: dict[int, Path] = {}
        make_images(Path(work) / "one", 1)
        single = [
            _predict(manifest.folder, model, Path(work) / "one", Path(work) / "one.csv") for _ in range(3)
        ]
        start = min(run.seconds for run, _ in single)
        for done, (count, in_keras) in enumerate(plan):
            what = f"{count:,} images, {'Keras loop' if in_keras else model}"
            if progress is not None:
                progress(done, len(plan), what)
            if count not in made:
                made[count] = Path(work) / str(count)
                source = make_images(made[count], count)
            if in_keras and parent:
                loops.append(_loop(manifest.folder, parent, made[count]))
            else:
                run, statuses = _predict(manifest.folder, model, made[count], Path(work) / f"{done}.csv")
                runs.setdefault(count, []).append(run)
        if progress is not None:
            progress(len(plan), len(plan), "")
    whole, inner = [loop for loop, _ in loops], [seconds for _, seconds in loops]
    machine = machine_of_commands()
    return BatchCosts(machine, model, source, runs, whole, inner, start, statuses, notes)


def make_images(folder: Path, count: int) -> str:
    """Fill a new folder with `count` JPEGs of 600x450, some of them links to others.

    Returns:
        Where they come from, in words.
    """
    folder.mkdir()
    try:
        dataset = open_dataset()
    except DatasetError:
        dataset = None
    real = dataset is not None and not dataset.is_synthetic
    found = _photographs(dataset, count) if dataset is not None and real else _drawn(count)
    written = []
    for number, data in enumerate(found):
        written.append(folder / f"{number:06}.jpg")
        written[-1].write_bytes(data)
    for number in range(len(written), count):
        os.link(written[number % len(written)], folder / f"{number:06}.jpg")
    size = f"{SYNTHETIC_SIZE[0]}x{SYNTHETIC_SIZE[1]}"
    kind = "HAM10000's" if real else "synthetic lesions'"
    return f"{kind} JPEGs of {size}, {len(written):,} different ones"


def _photographs(dataset: Dataset, count: int) -> Iterator[bytes]:
    """The dataset's own files, enlarged or reduced where they have another size."""
    ids = dataset.records["image_id"].to_numpy()
    for image_id in ids[np.linspace(0, len(ids) - 1, min(count, IMAGES, len(ids))).astype(int)]:
        data = dataset.read_bytes(image_id)
        rgb = decode(data, image_id)
        if rgb.shape[1::-1] != SYNTHETIC_SIZE:
            bgr = cv2.cvtColor(
                cv2.resize(rgb, SYNTHETIC_SIZE, interpolation=cv2.INTER_CUBIC), cv2.COLOR_RGB2BGR
            )
            data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
        yield data


def _drawn(count: int) -> Iterator[bytes]:
    for number in range(min(count, DRAWN)):
        yield synthetic_sample(CODES[number % len(CODES)], 1 + number // len(CODES)).data


def _predict(folder: Path, model: str, images: Path, output: Path) -> tuple[Watched, Counter[str]]:
    command = ["-m", "core", "predict", str(images), "--model", model, "--output", str(output)]
    run = watch(command, environment=_artifacts(folder))
    with output.open(encoding="utf-8", newline="") as stream:
        statuses = Counter(row["status"] for row in csv.DictReader(stream))
    expected = sum(1 for _ in images.iterdir())
    if statuses.total() != expected:
        raise ChildFailed(f"predict: expected {expected} rows, found {statuses.total()}")
    return run, statuses


def _loop(folder: Path, model: str, images: Path) -> tuple[Watched, float]:
    """The plain loop, and its seconds without imports, network and a first batch."""
    run = watch(["-m", "core.benchmark.keras_loop", model, str(images)], environment=_artifacts(folder))
    return run, float(json.loads(run.output.splitlines()[-1]))


def _artifacts(folder: Path) -> dict[str, str]:
    return {ARTIFACTS.variable: str(folder.absolute()), "TF_CPP_MIN_LOG_LEVEL": "3"}


def counts(more: int | None) -> tuple[int, ...]:
    """The numbers of images to classify.

    Raises:
        UserError: fewer than one.
    """
    if more is not None and more < 1:
        raise UserError(f"expected at least 1 image, found {more}")
    if more is None:
        return (IMAGES,)
    return (IMAGES, more) if more > IMAGES else (more,)
