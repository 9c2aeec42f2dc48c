"""From a finished run to the artifacts folder: weights, history, and the manifest's entry with its provenance."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

import keras

from core.artifacts import update_model, write_atomically
from core.manifest import Manifest
from core.networks.classifiers import NETWORKS
from core.settings import ROOT, artifacts_dir
from core.training.recipes import Recipe

DATA_NOTE = (
    "HAM10000: Tschandl, Rosendahl, Kittler, Scientific Data 5:180161 (2018), "
    "doi 10.7910/DVN/DBW86T, CC BY-NC 4.0"
)
LICENCE = "CC BY-NC 4.0 (non-commercial), as the data"


def note_start(folder: Path, init: str | None, init_note: str | None) -> dict[str, Any]:
    """Write down, once, what made a run: commit, initial weights, backend, machine. Returns what is noted."""
    path = folder / "run.json"
    if path.exists():
        return json.loads(path.read_text())
    facts = {
        "commit": current_commit(),
        "initial_weights": describe_init(init, init_note),
        "backend": f"keras {keras.version()} on {keras.config.backend()}",
        "machine": f"{cpu_name()}, {os.cpu_count()} cores",
    }
    write_atomically(path, json.dumps(facts, indent=1).encode())
    return facts


def publish(
    folder: Path, name: str, role: str, recipe: Recipe, network: keras.Model, seconds: float, best_epoch: int
) -> Manifest:
    """Copy a finished run's weights and history into the artifacts and enter the model in the manifest.

    What was measured on older weights (figures, calibration, LiteRT file, predictions) is dropped: it would
    describe another model.
    """
    artifacts = artifacts_dir()
    files = {"weights": f"weights/{name}.npz", "history": f"history/{name}.csv"}
    for key, source in (("weights", "best.npz"), ("history", "history.csv")):
        target = artifacts / files[key]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / source, target)
    facts = note_start(folder, None, None)
    teachers = list(recipe.distillation.teachers) if recipe.distillation else []
    entry = {
        "title": title_of(name, recipe.network, role),
        "role": role,
        "network": recipe.network,
        "recipe": recipe.to_dict(),
        "commit": facts["commit"],
        "provenance": {
            "initial_weights": facts["initial_weights"],
            "teachers": teachers,
            "data": DATA_NOTE,
            "licence": LICENCE,
            "backend": facts["backend"],
            "machine": facts["machine"],
            "training_seconds": round(seconds),
            "best_epoch": best_epoch,
        },
        "parameters": network.count_params(),
        "figures": {},
        "calibration": {},
        "operating_point": None,
    }
    return update_model(artifacts, name, entry, {**files, "litert": None, "predictions": None})


def title_of(name: str, network: str, role: str) -> str:
    """What people read: the network's own name, and what the model is for."""
    title = NETWORKS[network].title
    suffix = {"teacher": "teacher", "student": "distilled student", "baseline": "baseline, no teachers"}
    known = {"student", "baseline", *NETWORKS}
    return f"{title} ({suffix.get(role, role)})" + ("" if name in known else f" {name}")


def describe_init(init: str | None, note: str | None) -> str:
    """Initial weights in words: source, and for a file its name and hash."""
    if init is None:
        return "none (random)"
    if init == "imagenet":
        return "ImageNet, keras.applications' download"
    digest = hashlib.sha256(Path(init).read_bytes()).hexdigest()[:16]
    return f"{Path(init).name} (sha256 {digest}...)" + (f": {note}" if note else "")


def current_commit() -> str:
    """The commit of the code, with `+changes` where files differ from it; empty outside a checkout."""
    try:
        command = ["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"]
        commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run(
            ["git", "-C", str(ROOT), "diff", "--quiet", "HEAD", "--", "core"], capture_output=True
        ).returncode
    except (OSError, subprocess.CalledProcessError):
        return ""
    return commit + ("+changes" if changed else "")


def cpu_name() -> str:
    """The processor's name."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
