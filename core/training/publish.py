"""From a finished run to the artifacts folder: weights, history, and the manifest's entry with its provenance."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from core.artifacts import load_manifest, update_model, write_atomically
from core.errors import UserError
from core.evaluation.origin import DATA_NOTE, ELSEWHERE, SYNTHETIC_NOTE, is_of_photographs
from core.evaluation.stale import UNMEASURED, drop_comparisons, drop_ensembles
from core.manifest import Manifest, ManifestMissing, ModelEntry
from core.networks.classifiers import NETWORKS, STUDENT_NETWORK
from core.networks.trained import check_weights
from core.networks.weights import save_weights
from core.settings import ROOT, artifacts_dir
from core.training.checkpoint import CHECKPOINT
from core.training.origins import counts, facts_of
from core.training.recipes import Recipe

INIT = "initial weights"
"""Key of the digest of what a run begins with, among those of its teachers."""

LICENCE = "CC BY-NC 4.0 (non-commercial), as the data"


def note_start(
    folder: Path, initial_weights: str, data: str, images: dict[str, Any], began: Mapping[str, Any]
) -> None:
    """Write down what makes a run: commit, initial weights, teachers, data, backend, machine.

    A run that is going on from its checkpoint keeps the notes of its beginning.

    Args:
        folder: the run's.
        initial_weights: from `describe_init`.
        data: what it is trained on, in words.
        images: which images exactly: what must be the same when the run goes on.
        began: what it began with, by name a digest: `INIT` and each teacher. That must be the same as well.

    Raises:
        UserError: the checkpoint there was made from other images, initial weights or teachers.
    """
    path = folder / "run.json"
    if path.exists() and (folder / CHECKPOINT).exists():
        notes = json.loads(path.read_text())
        found = notes.get("images", images)
        if found != images:
            raise UserError(
                f"{folder}: expected a run on these images ({counts(images)}), found one on others "
                f"({counts(found)}); finish it with its own data and --limit, or start afresh with --restart"
            )
        others = [name for name, digest in notes.get("began", {}).items() if began.get(name) != digest]
        if others:
            raise UserError(
                f"{folder}: expected a run that began with the same files, found one with another "
                f"{' and '.join(others)}; finish it with those, or start afresh with --restart"
            )
        return
    facts = {
        "commit": current_commit(),
        "initial_weights": initial_weights,
        "data": data,
        "images": images,
        "began": dict(began),
        "backend": f"keras {keras.version()} on {keras.config.backend()}",
        "machine": f"{cpu_name()}, {os.cpu_count()} cores",
    }
    write_atomically(path, json.dumps(facts, indent=1).encode())


def publish(
    folder: Path,
    name: str,
    recipe: Recipe,
    network: keras.Model,
    seconds: float,
    best_epoch: int,
    changes: Mapping[str, Any] | None = None,
) -> Manifest:
    """Copy a finished run's weights and history into the artifacts and enter the model in the manifest.

    What was made from or measured on older weights (figures, calibration, all other files) is dropped: it would
    describe another model.

    Args:
        folder: the run's.
        name: of the model.
        recipe: of the run.
        network: as trained.
        seconds: of training.
        best_epoch: whose weights are kept.
        changes: keys of the entry that a run of another kind (pruning) has differently, or more of its provenance.

    Raises:
        UserError: the run saw drawn lesions, and a model of that name was made from photographs.
    """
    artifacts = artifacts_dir()
    facts = json.loads((folder / "run.json").read_text())
    before = _listed(artifacts)
    if facts.get("data") == SYNTHETIC_NOTE and before and is_of_photographs(before, name):
        raise UserError(
            f"{folder}: expected a run on HAM10000, as {artifacts}'s {name} is, found one on synthetic lesions; "
            f"publish it under another name, or {ELSEWHERE}"
        )
    files = {"weights": f"weights/{name}.npz", "history": f"history/{name}.csv"}
    for key, source in (("weights", "best.npz"), ("history", "history.csv")):
        target = artifacts / files[key]
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, (folder / source).read_bytes())
    teachers = list(recipe.distillation.teachers) if recipe.distillation else []
    role = role_of(recipe)
    entry = {
        "title": title_of(name, recipe.network, role),
        "role": role,
        "network": recipe.network,
        "recipe": recipe.to_dict(),
        "commit": facts["commit"],
        "provenance": {
            "initial_weights": facts["initial_weights"],
            "teachers": teachers,
            **({"teachers_sha256": hashes} if (hashes := _teachers(facts)) else {}),
            "data": facts.get("data", DATA_NOTE),
            **({"images": facts["images"]} if "images" in facts else {}),
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
        "parent": None,
        "widths": {},
    }
    changes = dict(changes or {})
    entry["provenance"] |= changes.pop("provenance", {})
    entry |= changes
    known = before.models.get(name) if before else None
    manifest = update_model(artifacts, name, entry, {**dict.fromkeys(known.files if known else ()), **files})
    if before and known and _weights_of(before, known) != _weights_of(manifest, manifest.model(name)):
        manifest = _drop_what_follows(manifest, name)
    return manifest


def replace_weights(
    folder: Path,
    name: str,
    network: keras.Model,
    provenance: Mapping[str, Any],
    *,
    made_from: str | None = None,
) -> Manifest:
    """Give a published model weights that were made of its own; its training stays what it was.

    What was made from or measured on the older ones is dropped, as `publish` does.

    Args:
        folder: of the artifacts.
        name: of the model.
        network: with the new weights.
        provenance: what to add to the model's.
        made_from: SHA-256 of the weights that the new ones were made of; None does not ask.

    Raises:
        UserError: the model has others by now.
    """
    manifest = load_manifest(folder)
    entry = manifest.model(name)
    if made_from is not None:
        check_weights(manifest, name, made_from)
    place = folder / entry.files["weights"]
    older = place.read_bytes()
    save_weights(network, place, entry.network)
    kept = ("weights", "history")
    changes = {
        "provenance": {key: value for key, value in entry.provenance.items() if key != "compression"} | provenance,
        **UNMEASURED,
    }  # fmt: skip
    files: dict[str, str | None] = {key: None for key in entry.files if key not in kept}
    try:
        manifest = update_model(folder, name, changes, {**files, "weights": entry.files["weights"]})
    except BaseException:
        write_atomically(place, older)  # The manifest lists those, and there may be no other copy.
        raise
    return _drop_what_follows(manifest, name, pruned=False)


def _listed(artifacts: Path) -> Manifest | None:
    try:
        return load_manifest(artifacts)
    except ManifestMissing:
        return None


def _weights_of(manifest: Manifest, entry: ModelEntry) -> str:
    """SHA-256 of a model's weights; empty without any."""
    file = manifest.files.get(entry.files.get("weights", ""))
    return file.sha256 if file else ""


_OF_VARIANTS = ("litert", "layers", "weights", "history")


def _drop_what_follows(manifest: Manifest, name: str, *, pruned: bool = True) -> Manifest:
    """Variants of a model that was replaced have no file until they are made again, ensembles no figures, and nothing
    is compared with it.

    Args:
        manifest: with the new model.
        name: the model's.
        pruned: whether variants with weights of their own go, too.
    """
    for other, entry in manifest.models.items():
        # A variant with weights of its own was pruned from those that are gone, and no variant of the new ones.
        if entry.parent != name or (not pruned and "weights" in entry.files):
            continue
        gone = dict.fromkeys(key for key in ("predictions", *_OF_VARIANTS) if key in entry.files)
        manifest = update_model(manifest.folder, other, UNMEASURED, gone)
    return drop_comparisons(drop_ensembles(manifest, name), name)


def _teachers(facts: Mapping[str, Any]) -> dict[str, str]:
    """Which files taught a run: name -> beginning of the SHA-256; empty where its notes do not say so."""
    return {name: digest for name, digest in facts.get("began", {}).items() if name != INIT}


def role_of(recipe: Recipe) -> str:
    """`teacher` for every large network, taught or not; the small one is `student` with teachers, else `baseline`."""
    if recipe.network != STUDENT_NETWORK:
        return "teacher"
    return "student" if recipe.distillation else "baseline"


def title_of(name: str, network: str, role: str) -> str:
    """What people read: the network's own name, and what the model is for."""
    title = NETWORKS[network].title
    suffix = {"teacher": "teacher", "student": "distilled student", "baseline": "baseline, no teachers"}
    known = {"student", "baseline", *NETWORKS}
    return f"{title} ({suffix.get(role, role)})" + ("" if name in known else f" {name}")


def describe_init(init: str | None, note: str | None) -> str:
    """Initial weights in words: source, for a file its name and hash, for a run's or a model's also what it began with.

    Raises:
        UserError: there is no such file, a note on what is none, or the notes beside the file are damaged.
        ManifestError: there are no notes beside it, and the manifest is damaged.
    """
    if note and init in (None, "imagenet"):
        raise UserError(f"--init-note: expected it with a file of initial weights, found --init {init}")
    if init is None:
        return "none (random)"
    if init == "imagenet":
        return "ImageNet, keras.applications' download"
    if not Path(init).is_file():
        raise UserError(f"--init: expected imagenet, a .weights.h5 or an .npz file, found no file {init}")
    digest = digest_of(init)
    described = f"{Path(init).name} (sha256 {digest}...)" + (f": {note}" if note else "")
    earlier = facts_of(Path(init)).get("initial_weights")
    return f"{described}; their training began with {earlier}" if earlier else described


def digest_of(init: str | None) -> str:
    """The beginning of a file's SHA-256; of what is no file, its name."""
    if init is None or not Path(init).is_file():
        return init or "none"
    return hashlib.sha256(Path(init).read_bytes()).hexdigest()[:16]


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
