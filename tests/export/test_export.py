"""The exported folder: complete, whole, refused in words; its Python example answers as the dashboard does."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from core.__main__ import main
from core.artifacts import load_manifest, update_model
from core.export.folder import archive, export
from core.lesions import CODES
from core.serving.classifier import Classifier
from core.serving.intake import read_image
from core.settings import ROOT

FILES = {
    "student-int8.tflite", "labels.txt", "model.json", "README.md", "MODEL_CARD.md", "LICENSE", "requirements.txt",
    "classify.py", "classify.js", "Classifier.kt", "SHA256SUMS",
}  # fmt: skip

ALONE = """
import runpy, sys
for name in {blocked!r}:
    sys.modules[name] = None
sys.argv = ["classify.py", {image!r}]
sys.path = [p for p in sys.path if p != {root!r}]
try:
    import core
    sys.exit("the project can be imported")
except ModuleNotFoundError:
    pass
runpy.run_path({script!r}, run_name="__main__")
"""
BLOCKED = ["tensorflow", "keras", "scipy", "pandas", "sklearn", "streamlit", "filelock"]


@pytest.fixture
def folder(artifacts: Path, tmp_path: Path) -> Path:
    """The exported model."""
    assert main(["export", "--model", "student-int8", "--output", str(tmp_path / "out/model")]) == 0
    return tmp_path / "out/model"


def write_image(path: Path, size: tuple[int, int]) -> Path:
    """Coarse noise, which compresses without loss of its colours' means."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC))
    return path


def served(artifacts: Path, image: Path) -> dict[str, float]:
    """What the dashboard says of an image file."""
    upload = read_image(image.read_bytes(), image.name)
    diagnosis = Classifier.load(load_manifest(artifacts), "student-int8").classify(upload.pixels)
    return dict(zip(CODES, diagnosis.probabilities.tolist(), strict=True))


def test_every_file_is_there_and_has_its_checksum(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == FILES
    listed = dict(line.split("  ")[::-1] for line in (folder / "SHA256SUMS").read_text().splitlines())
    assert set(listed) == FILES - {"SHA256SUMS"}
    for name, digest in listed.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_numbers_for_programs(folder: Path, tiny_file: Path) -> None:
    facts = json.loads((folder / "model.json").read_text())
    assert facts["made_from_sha256"] == hashlib.sha256(tiny_file.read_bytes()).hexdigest()
    assert facts["sha256"] == hashlib.sha256((folder / facts["file"]).read_bytes()).hexdigest()
    assert facts["input"]["shape"] == [1, 224, 224, 3]
    assert facts["outputs"]["logits"] == {"shape": [1, 7], "axes": ["batch", "class"], "type": "float32"}
    assert facts["outputs"]["maps"]["shape"] == [1, 7, 56, 56]
    assert facts["outputs"]["maps"]["axes"] == ["batch", "class", "row", "column"]
    assert (facts["temperature"], facts["malignancy_threshold"]) == (0.64, 0.0772)
    assert tuple(facts["classes"]) == CODES == tuple((folder / "labels.txt").read_text().split())
    assert facts["malignant"] == ["akiec", "bcc", "mel"]


def test_the_network_is_the_same_for_one_image_at_a_time(folder: Path, tiny_file: Path) -> None:
    """LiteRT.js runs no file whose batch is open, not even on one image."""
    facts = json.loads((folder / "model.json").read_text())
    pixels = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), dtype=np.uint8)
    open_batch, fixed = (Interpreter(str(path)) for path in (tiny_file, folder / facts["file"]))
    assert open_batch.get_input_details()[0]["shape_signature"].tolist() == [-1, 224, 224, 3]
    for detail in (*fixed.get_input_details(), *fixed.get_output_details()):
        assert detail["shape_signature"].tolist() == detail["shape"].tolist()
    before, after = (i.get_signature_runner()(image=pixels) for i in (open_batch, fixed))
    for name in ("logits", "maps", "embedding"):
        assert np.array_equal(before[name], after[name]), name


def test_outputs_stand_in_the_order_of_the_file(folder: Path) -> None:
    facts = json.loads((folder / "model.json").read_text())
    interpreter = Interpreter(str(folder / facts["file"]))
    shapes = [detail["shape"].tolist() for detail in interpreter.get_output_details()]
    assert [output["shape"] for output in facts["outputs"].values()] == shapes
    text = (folder / "README.md").read_text()
    places = [text.index(f"- `{name}` (") for name in facts["outputs"]]
    assert places == sorted(places)


def test_the_card_does_not_promise_a_check_that_is_not_in_the_folder(folder: Path) -> None:
    card = (folder / "MODEL_CARD.md").read_text()
    assert "It is not in this folder" in card
    assert "another model's check" not in card
    listed = set(re.findall(r"^\| (\S+) \| \d+ \| [0-9a-f]{64} \|$", card, re.MULTILINE))
    assert listed == FILES - {"MODEL_CARD.md", "SHA256SUMS"}
    for name in ("README.md", "classify.py", "classify.js", "Classifier.kt"):
        assert "not in this folder" in " ".join((folder / name).read_text().replace(" * ", " ").split()), name


def test_words_for_people(folder: Path) -> None:
    text = (folder / "README.md").read_text()
    for phrase in (
        r"A \*small\* student", "INTER_AREA", "224 x 224", "RGB", "softmax(logits / 0.64)", "`mel` Melanoma",
        "0.0772", "95%", "91.7% (95% interval 88.5 to 94.7)",
        "not kept", "no medical device", "CC BY-NC 4.0", "creativecommons.org/licenses/by-nc/4.0", "MIT", "embedding",
        "each class's map by its own maximum", "Python 3.11",
    ):  # fmt: skip
        assert phrase in text, phrase
    assert "{" not in text
    assert "Intended use" in (folder / "MODEL_CARD.md").read_text()
    for name in re.findall(r"^\| `([^`]+)`", text, re.MULTILINE):
        assert name in FILES


def test_the_examples_are_short_and_all_read_the_same_file(folder: Path) -> None:
    python = (folder / "classify.py").read_text()
    assert sum(map(bool, python.splitlines())) <= 30
    assert set(re.findall(r"^(?:import|from) (\w+)", python, re.MULTILINE)) == {
        "json", "sys", "pathlib", "cv2", "numpy", "ai_edge_litert", "PIL"}  # fmt: skip
    kotlin, script = (folder / "Classifier.kt").read_text(), (folder / "classify.js").read_text()
    facts = json.loads((folder / "model.json").read_text())
    keys = re.findall(r'\b(?:get\w+|optDouble|strings)\("(\w+)"\)', kotlin)
    keys += re.findall(r"\bfacts\.(\w+)", script)
    assert {"temperature", "classes", "malignant", "malignancy_threshold"} <= set(keys)
    for key in keys:
        assert key in facts or key in facts["input"], key
    assert f'"{facts["signature"]}"' in kotlin
    assert f'"{facts["input"]["name"]}"' in kotlin


@pytest.mark.parametrize(
    ("name", "size"), [("lesion.png", (600, 450)), ("lesion.jpg", (451, 333)), ("same.png", (224, 224))]
)
def test_the_python_example_alone_answers_as_the_dashboard_does(folder, artifacts, tmp_path, name, size):
    image = write_image(tmp_path / name, size)
    code = ALONE.format(blocked=BLOCKED, image=str(image), root=str(ROOT), script=str(folder / "classify.py"))
    done = subprocess.run([sys.executable, "-I", "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    expected = served(artifacts, image)
    assert found["probabilities"] == pytest.approx(expected, abs=1e-6)
    assert found["label"] == max(expected, key=expected.get)
    assert found["malignancy"] == pytest.approx(sum(expected[c] for c in ("akiec", "bcc", "mel")))
    assert found["suspicious"] is (found["malignancy"] >= 0.0772)


def alone(folder: Path, image: Path) -> dict:
    """What the Python example prints."""
    command = [sys.executable, "-I", str(folder / "classify.py"), str(image)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_the_python_example_turns_a_picture_upright(folder, artifacts, tmp_path, kind, orientation):
    """Its transparency, too."""
    rng = np.random.default_rng(2)
    rgba = rng.integers(0, 256, (300, 400, 4), dtype=np.uint8)
    rgba[..., 3] = 255
    rgba[:150, :200, 3] = 0
    picture = Image.fromarray(rgba if kind != "jpeg" else np.ascontiguousarray(rgba[..., :3]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = tmp_path / f"turned.{kind}"
    picture.save(image, kind, exif=exif, **({"lossless": True} if kind == "webp" else {}))
    assert alone(folder, image)["probabilities"] == pytest.approx(served(artifacts, image), abs=0.005)


def test_without_an_operating_point_nothing_is_called_suspicious(artifacts, tmp_path):
    update_model(artifacts, "student-int8", {"operating_point": None})
    folder = tmp_path / "out"
    export(load_manifest(artifacts), "student-int8", folder)
    assert alone(folder, write_image(tmp_path / "lesion.png", (600, 450)))["suspicious"] is None


def test_the_python_example_lays_transparency_over_white_as_the_dashboard_does(folder, artifacts, tmp_path):
    rgb = np.random.default_rng(1).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    opacity = np.zeros((300, 400, 1), np.uint8)
    opacity[60:240, 80:320] = 255
    opacity[60:240, 60:80] = 128
    image = tmp_path / "cut out.png"
    cv2.imwrite(str(image), np.concatenate([rgb, opacity], axis=2))
    assert alone(folder, image)["probabilities"] == pytest.approx(served(artifacts, image), abs=0.005)


def test_the_python_example_says_how_it_is_called(folder: Path) -> None:
    done = subprocess.run([sys.executable, "-I", str(folder / "classify.py")], capture_output=True, text=True)
    assert done.returncode == 1
    assert "usage: python classify.py IMAGE" in done.stderr


def test_the_python_example_refuses_what_is_no_image(folder: Path) -> None:
    command = [sys.executable, "-I", str(folder / "classify.py"), str(folder / "labels.txt")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 1
    assert "error: expected an image" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_the_python_example_refuses_what_pillow_would_make_white(folder: Path, tmp_path, kind: str) -> None:
    grey = np.random.default_rng(0).integers(0, 1 << 16, (300, 400), dtype=np.uint16)
    Image.fromarray(grey).save(tmp_path / f"deep.{kind}")
    command = [sys.executable, "-I", str(folder / "classify.py"), str(tmp_path / f"deep.{kind}")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith(
        "error: expected an image that can be read, of 8 bits a channel, found: mode I"
    )


@pytest.mark.slow
def test_the_python_example_in_a_fresh_environment(folder, artifacts, tmp_path):
    """Only what requirements.txt names is installed; skipped where nothing can be fetched."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    command = [str(python), "-m", "pip", "install", "--quiet", "--retries", "0", "--timeout", "20", "-r",
               str(folder / "requirements.txt")]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode and re.search(r"No matching distribution|Connection|Max retries|resolve", done.stderr):
        pytest.skip(f"needs a package index: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    image = write_image(tmp_path / "lesion.png", (600, 450))
    command = [str(python), "-I", "classify.py", str(image)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["probabilities"] == pytest.approx(served(artifacts, image), abs=1e-6)


def test_the_archive_holds_the_folder(folder: Path, artifacts: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(archive(load_manifest(artifacts), "student-int8"))) as packed:
        found = {path: packed.read(path) for path in packed.namelist()}
    assert found == {f"student-int8/{path.name}": path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            "ensemble",
            "expected a model with a file of its own, found an ensemble; export its members: student-int8",
        ),
        ("raw", "python -m core evaluate --model raw"),
        ("bare", "python -m core compress --model bare"),
        ("nobody", "expected one of the models"),
    ],
)
def test_models_that_cannot_be_exported(artifacts, tmp_path, capsys, model, message):
    assert main(["export", "--model", model, "--output", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_stays_as_it_is(artifacts, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    assert main(["export", "--model", "student-int8", "--output", str(tmp_path / "out")]) == 2
    assert "expected a new or an empty folder" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]
    assert main(["export", "--model", "student-int8", "--output", str(tmp_path / "out/mine.txt")]) == 2
    assert "found a file" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["artifacts", "out"]


def test_an_empty_folder_is_taken(artifacts, tmp_path):
    (tmp_path / "out").mkdir()
    assert {path.name for path in export(load_manifest(artifacts), "student-int8", tmp_path / "out")} == FILES


def test_an_empty_folder_may_be_the_current_one_or_a_link(artifacts, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for output in (Path(), tmp_path / "link"):
        assert main(["export", "--model", "student-int8", "--output", str(output)]) == 0
        assert {path.name for path in output.iterdir()} == FILES
    assert (tmp_path / "link").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["artifacts", "here", "link", "there"]


def test_an_empty_folder_may_be_a_volume_of_its_own(artifacts, tmp_path, monkeypatch):
    """As one that a container or a stick has: the system moves no file from one volume to another."""
    (tmp_path / "volume").mkdir()
    move = os.replace

    def within_a_volume(source: Path, target: Path) -> None:
        if (tmp_path / "volume" in Path(source).parents) != (tmp_path / "volume" in Path(target).parents):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        move(source, target)

    monkeypatch.setattr("core.export.folder.os.replace", within_a_volume)
    assert main(["export", "--model", "student-int8", "--output", str(tmp_path / "volume")]) == 0
    assert {path.name for path in (tmp_path / "volume").iterdir()} == FILES


def test_an_empty_folder_stays_empty_when_its_disk_is_full(artifacts, tmp_path, monkeypatch, capsys):
    (tmp_path / "out").mkdir()
    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if path.name == "classify.js":
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    assert main(["export", "--model", "student-int8", "--output", str(tmp_path / "out")]) == 2
    assert "No space left" in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir())


def test_a_damaged_file_is_not_exported(artifacts, tmp_path, capsys):
    (artifacts / "model.tflite").write_bytes(b"other")
    assert main(["export", "--model", "student-int8", "--output", str(tmp_path / "out")]) == 2
    assert "model.tflite" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_file_that_wants_scaled_pixels_is_refused(artifacts, tmp_path, capsys):
    """One whose input is not the pixels as they are would need other words and another example."""
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("tiny_litert", ROOT / "tests/serving/tiny_litert.py")
    graphs = module_from_spec(spec)
    sys.modules["tiny_litert"] = graphs
    spec.loader.exec_module(graphs)
    (artifacts / "float.tflite").write_bytes(graphs.build(graphs.random_weights(0)))
    entry = {"title": "F", "role": "student", "calibration": {"temperature": 1.0}}
    update_model(artifacts, "float", entry, {"litert": "float.tflite"})
    assert main(["export", "--model", "float", "--output", str(tmp_path / "out")]) == 2
    assert "takes pixels as they are, found float32" in capsys.readouterr().err
