"""`python -m core export`: a model's file with all that is needed to use it somewhere else."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ai_edge_litert.interpreter import Interpreter

from core.artifacts import Manifest, ModelEntry
from core.errors import UserError
from core.evaluation.cards import make_card, to_markdown
from core.export.text import read_me
from core.lesions import CODES, LESIONS
from core.serving.runtime import find_input, find_outputs

TEMPLATES = Path(__file__).with_name("templates")
REQUIREMENTS = ("numpy", "opencv-python-headless", "ai-edge-litert")
"""All that the Python example imports."""

CHECKSUMS = "SHA256SUMS"


class ExportError(UserError):
    """A model that cannot be exported, or a folder that cannot take it."""


def export(manifest: Manifest, name: str, output: Path) -> list[Path]:
    """Write a model's folder.

    It holds the LiteRT file; `labels.txt`; `model.json`, every number that a program needs (input, outputs, classes,
    temperature, operating point); `README.md`, the same in words; `classify.py` with its `requirements.txt` and
    `Classifier.kt`, which need nothing else; `MODEL_CARD.md`; and `SHA256SUMS` over all of them.

    Args:
        manifest: of the artifacts.
        name: of a model with a LiteRT file, evaluated.
        output: the folder; it is made, or empty.

    Returns:
        The files, sorted.

    Raises:
        ArtifactError: the model is not there, or its file is damaged.
        ExportError: it has no file of its own or no calibration, or the folder is not empty or cannot be written.
    """
    entry = manifest.model(name)
    content = _content(manifest, entry)
    facts = describe(entry, content)
    files = {
        facts["file"]: content,
        "labels.txt": "".join(f"{code}\n" for code in CODES).encode(),
        "model.json": json.dumps(facts, indent=1, ensure_ascii=False).encode() + b"\n",
        "README.md": read_me(facts).encode(),
        "MODEL_CARD.md": to_markdown(make_card(manifest, name)).encode(),
        "requirements.txt": "".join(f"{p}=={version(p)}\n" for p in REQUIREMENTS).encode(),
        **{path.name: path.read_bytes() for path in sorted(TEMPLATES.iterdir()) if path.is_file()},
    }
    sums = (f"{hashlib.sha256(data).hexdigest()}  {path}\n" for path, data in sorted(files.items()))
    files[CHECKSUMS] = "".join(sums).encode()
    try:
        _write(files, Path(output))
    except OSError as error:
        raise ExportError(f"{output}: expected to write there, found: {error.strerror or error}") from error
    return sorted(Path(output) / path for path in files)


def describe(entry: ModelEntry, content: bytes) -> dict[str, Any]:
    """What `model.json` says of a LiteRT file.

    Raises:
        ExportError: its input is not the pixels themselves.
        RuntimeModelError: it is no explaining graph.
    """
    interpreter = Interpreter(model_content=content)
    pixels = find_input(interpreter.get_input_details(), entry.name)
    scale, zero = pixels["quantization"]
    if pixels["dtype"].__name__ != "uint8" or (scale, zero) not in ((0.0, 0), (1.0, 0)):
        raise ExportError(
            f"model {entry.name}: expected a file that takes pixels as they are, found {pixels['dtype'].__name__} with "
            f"scale {scale:g}; convert it again: python -m core compress --model {entry.name}"
        )
    outputs = find_outputs(list(interpreter.get_signature_runner().get_output_details().items()), entry.name)
    point = entry.operating_point or {}
    return {
        "name": entry.name,
        "title": entry.title,
        "file": f"{entry.name}.tflite",
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "signature": "serving_default",
        "input": {
            "name": "image",
            "shape": [int(n) for n in pixels["shape"]],
            "type": "uint8",
            "size": int(pixels["shape"][1]),
            "channels": "RGB",
            "range": [0, 255],
            "resize": "whole frame, aspect not kept, mean by area (OpenCV INTER_AREA)",
        },
        "outputs": {
            key: {"shape": [int(n) for n in detail["shape"]], "type": detail["dtype"].__name__}
            for key, detail in outputs.items()
        },
        "classes": list(CODES),
        "names": {lesion.code: lesion.name for lesion in LESIONS},
        "malignant": [lesion.code for lesion in LESIONS if lesion.malignant],
        "temperature": entry.temperature,
        "malignancy_threshold": entry.malignancy_threshold,
        "sensitivity_target": point.get("sensitivity_target"),
        "operating_point_on_test": _on_test(point),
        "licence": str(entry.provenance.get("licence") or ""),
        "commit": entry.commit,
    }


def _on_test(point: Mapping[str, Any]) -> dict[str, Any] | None:
    """Sensitivity and specificity at the operating point on test; None where they are not stored."""
    test = point.get("test")
    if not isinstance(test, Mapping):
        return None
    return {name: test.get(name) for name in ("sensitivity", "specificity")}


def _content(manifest: Manifest, entry: ModelEntry) -> bytes:
    """The checked LiteRT file of an evaluated model."""
    if entry.members:
        raise ExportError(
            f"model {entry.name}: expected a model with a file of its own, found an ensemble; export its members: "
            f"{', '.join(entry.members)}"
        )
    if "litert" not in entry.files:
        raise ExportError(
            f"model {entry.name}: expected a LiteRT file, found none; make it: python -m core compress "
            f"--model {entry.name}"
        )
    if "temperature" not in entry.calibration:
        raise ExportError(
            f"model {entry.name}: expected it to be calibrated, found no temperature; python -m core evaluate "
            f"--model {entry.name} fits one"
        )
    return manifest.read(entry.files["litert"])


def _write(files: dict[str, bytes], output: Path) -> None:
    """All files or none: they are written beside the folder, which then takes its place."""
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ExportError(f"{output}: expected a new or an empty folder, found one that is in use")
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=output.parent, prefix=f".{output.name}."))
    try:
        for path, data in files.items():
            (partial / path).write_bytes(data)
        partial.chmod(0o755)
        if output.exists():
            output.rmdir()
        os.replace(partial, output)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
