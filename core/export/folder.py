"""`python -m core export`: a model's file with all that is needed to use it somewhere else."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ai_edge_litert.interpreter import Interpreter

from core.artifacts import Manifest, ModelEntry
from core.errors import UserError
from core.evaluation.cards import make_card, to_markdown
from core.export.card import travelling
from core.export.eligible import refusal
from core.export.fixed_batch import one_image
from core.export.text import read_me
from core.lesions import CODES, LESIONS
from core.serving.runtime import find_input, find_outputs
from core.settings import ROOT

TEMPLATES = Path(__file__).with_name("templates")
REQUIREMENTS = ("numpy", "pillow", "opencv-python-headless", "ai-edge-litert")
"""All that the Python example imports."""

AXES = {
    "logits": ("batch", "class"),
    "maps": ("batch", "class", "row", "column"),
    "embedding": ("batch", "feature"),
}

CHECKSUMS = "SHA256SUMS"


class ExportError(UserError):
    """A model that cannot be exported, or a folder that cannot take it."""


def export(manifest: Manifest, name: str, output: Path) -> list[Path]:
    """Write a model's folder.

    It holds the LiteRT file for one image at a time; `labels.txt`; `model.json`, every number that a program needs
    (input, outputs, classes, temperature, operating point); `README.md`, the same in words; `classify.py` with its
    `requirements.txt`, `classify.js` and `Classifier.kt`, which need nothing else; their `LICENSE`; `MODEL_CARD.md`;
    and `SHA256SUMS` over all of them.

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
    files = contents(manifest, name)
    try:
        _write(files, Path(output))
    except OSError as error:
        raise ExportError(f"{output}: expected to write there, found: {error.strerror or error}") from error
    return sorted(Path(output) / path for path in files)


def archive(manifest: Manifest, name: str) -> bytes:
    """A model's folder as a zip file, which holds it under the model's name.

    Raises:
        ArtifactError, ExportError: as `export` does.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for path, data in contents(manifest, name).items():
            packed.writestr(f"{name}/{path}", data)
    return buffer.getvalue()


def contents(manifest: Manifest, name: str) -> dict[str, bytes]:
    """What a model's folder holds: file name -> bytes.

    Raises:
        ArtifactError, ExportError: as `export` does, but for the folder.
    """
    entry = manifest.model(name)
    if problem := refusal(entry):
        raise ExportError(problem)
    shipped = manifest.read(entry.files["litert"])
    content = one_image(shipped)
    facts = describe(entry, content) | {"made_from_sha256": hashlib.sha256(shipped).hexdigest()}
    files = {
        facts["file"]: content,
        "labels.txt": "".join(f"{code}\n" for code in CODES).encode(),
        "model.json": json.dumps(facts, indent=1, ensure_ascii=False).encode() + b"\n",
        "README.md": read_me(facts).encode(),
        "LICENSE": (ROOT / "LICENSE").read_bytes(),
        "requirements.txt": "".join(f"{p}=={version(p)}\n" for p in REQUIREMENTS).encode(),
        **{path.name: path.read_bytes() for path in sorted(TEMPLATES.iterdir()) if path.is_file()},
    }
    files["MODEL_CARD.md"] = to_markdown(travelling(make_card(manifest, name), files)).encode()
    sums = (f"{hashlib.sha256(data).hexdigest()}  {path}\n" for path, data in sorted(files.items()))
    files[CHECKSUMS] = "".join(sums).encode()
    return files


def describe(entry: ModelEntry, content: bytes) -> dict[str, Any]:
    """What `model.json` says of a LiteRT file; its outputs in the order in which the file has them.

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
    order = [int(detail["index"]) for detail in interpreter.get_output_details()]
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
            key: {
                "shape": [int(n) for n in detail["shape"]],
                "axes": list(AXES[key]),
                "type": detail["dtype"].__name__,
            }
            for key, detail in sorted(outputs.items(), key=lambda output: order.index(output[1]["index"]))
        },
        "classes": list(CODES),
        "names": {lesion.code: lesion.name for lesion in LESIONS},
        "malignant": [lesion.code for lesion in LESIONS if lesion.malignant],
        "temperature": entry.temperature,
        "malignancy_threshold": entry.malignancy_threshold,
        "sensitivity_target": point.get("sensitivity_target"),
        "operating_point_on_test": _on_test(point),
        "licence": str(entry.provenance.get("licence") or ""),
        "data": str(entry.provenance.get("data") or ""),
        "commit": entry.commit,
    }


def _on_test(point: Mapping[str, Any]) -> dict[str, Any] | None:
    """Sensitivity and specificity at the operating point on test; None where they are not stored."""
    test = point.get("test")
    if not isinstance(test, Mapping):
        return None
    return {name: test.get(name) for name in ("sensitivity", "specificity")}


def _write(files: dict[str, bytes], output: Path) -> None:
    """All files or none: they are written beside a new folder or within an empty one, and then take their place."""
    output = output.resolve()  # the folder itself, not a link to it or "."
    if output.is_file():
        raise ExportError(f"{output}: expected a new or an empty folder, found a file")
    if output.exists() and any(output.iterdir()):
        raise ExportError(f"{output}: expected a new or an empty folder, found one that is in use")
    is_new = not output.exists()
    output.parent.mkdir(parents=True, exist_ok=True)
    # A folder that is there may be a volume of its own: nothing can be moved into it from beside it.
    partial = Path(tempfile.mkdtemp(dir=output.parent if is_new else output, prefix=f".{output.name}."))
    try:
        for path, data in files.items():
            (partial / path).write_bytes(data)
        if is_new:
            partial.chmod(0o755)
            os.replace(partial, output)
            return
        for path in files:  # an empty folder stays the one that it is: somebody may be in it
            os.replace(partial / path, output / path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
