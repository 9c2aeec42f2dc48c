"""Caches are of the bytes' sha256 and of one visit: no two files share a result, and no two visitors."""

from __future__ import annotations

import ast
import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from PIL import Image
from streamlit.runtime.scriptrunner import ScriptRunner
from streamlit.testing.v1 import AppTest

from core.artifacts import ModelEntry, update_model
from core.serving import classifier
from core.settings import ROOT
from pages import _data
from pages._images import Item

SIZE = (1200, 900)
"""Over a million elements, of which Streamlit would hash a sample."""


class OfOnePixel:
    """A stand-in for a model, whose logits follow from every single byte of its input."""

    def __init__(self, entry: ModelEntry) -> None:
        self.entry, self.name = entry, entry.name

    @classmethod
    def load(cls, manifest, name: str) -> OfOnePixel:
        return cls(manifest.model(name))

    def classify(self, rgb: np.ndarray, *, orientations: int = 1) -> classifier.Diagnosis:
        digest = hashlib.sha256(np.ascontiguousarray(rgb).tobytes()).digest()
        logits = np.frombuffer(digest, np.uint8)[:7] / 64
        return classifier._diagnosis(
            self.entry, logits, np.ones((7, 7, 7), np.float32), np.zeros(4, np.float32)
        )


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The prediction page on the stand-in; a function, since two pages are two visitors."""
    folder = tmp_path / "artifacts"
    folder.mkdir()
    (folder / "student.tflite").write_bytes(b"student")
    update_model(folder, "student", ModelEntry("student", "Student", "student"), {"litert": "student.tflite"})
    monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(folder))
    monkeypatch.setenv("DERMDISTILL_DATA", str(tmp_path / "nothing"))
    monkeypatch.setattr("core.serving.classifier.Classifier", OfOnePixel)
    monkeypatch.setattr("pages._data.is_served", lambda: False)
    st.cache_data.clear()
    st.cache_resource.clear()

    def open_page() -> AppTest:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        app.switch_page("pages/prediction.py")
        return app.run()

    return open_page


def photograph(changed: tuple[int, int] | None = None) -> bytes:
    """1200x900 pixels; one of them may differ, by much, since the networks see an average of some 20 of them."""
    pixels = np.full((SIZE[1], SIZE[0], 3), 120, np.uint8)
    if changed:
        pixels[changed[1], changed[0]] = 255
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def bars(app: AppTest, data: bytes) -> str:
    app.file_uploader[0].set_value([("same-name.png", data, "image/png")])
    app.run()
    assert not app.exception
    (drawn,) = [x.proto.body for x in app.get("html") if 'role="list"' in x.proto.body]
    return drawn


def test_photographs_that_differ_in_one_pixel_share_no_answer(page) -> None:
    """Same name, same size, a million equal elements."""
    app = page()
    seen = [bars(app, photograph(changed)) for changed in (None, (600, 450), (800, 450), (1199, 899), None)]
    assert len(set(seen)) == 4
    assert seen[0] == seen[-1]


def test_the_key_is_the_hash_of_the_bytes() -> None:
    one, other = Item("a.png", photograph()), Item("a.png", photograph((3, 3)))
    assert one.sha256 == hashlib.sha256(one.data).hexdigest()
    assert one.sha256 != other.sha256


def test_two_visitors_share_no_answer_about_uploads(page, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even about the same file: whether somebody else has uploaded it is nobody's business."""
    asked = []
    real = _data.ask

    def counted(*args, **more):
        asked.append(1)
        return real(*args, **more)

    monkeypatch.setattr(_data, "ask", counted)
    app = page()
    bars(app, photograph())
    app.run()
    assert len(asked) == 1, "the same visit asks once"
    begin = ScriptRunner.__init__
    monkeypatch.setattr(
        ScriptRunner, "__init__", lambda self, **given: begin(self, **given | {"session_id": "somebody else"})
    )
    bars(page(), photograph())
    assert len(asked) == 2, "and another one again"


UPLOADS = {"_data", "_item", "_reading", "_brought"}
"""Arguments that hold something of an upload."""


def cached() -> list[tuple[str, ast.FunctionDef, str]]:
    """Every function of the pages with one of Streamlit's caches: its file, itself, its decorator."""
    found = []
    for path in sorted((ROOT / "pages").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                decorators = [ast.unparse(d) for d in node.decorator_list]
                found += [(path.name, node, d) for d in decorators if "st.cache" in d]
    return found


def test_every_cache_of_uploads_is_of_one_visit_and_keyed_by_sha256() -> None:
    """Arguments with an underscore are no part of a key: what holds an upload has one, beside its hash."""
    seen = 0
    for file, function, decorator in cached():
        names = [argument.arg for argument in (*function.args.args, *function.args.kwonlyargs)]
        assert not {"data", "item", "reading", "pixels", "rgb", "image"} & set(names), (file, function.name)
        if UPLOADS & set(names):
            seen += 1
            assert "sha256" in names, (file, function.name)
            assert "scope='session'" in decorator, (file, function.name)
    assert seen >= 4


def test_what_a_guest_s_answers_give_is_of_one_visit() -> None:
    """Its argument is called as that of the shipped models' is, whose results everybody may have."""
    found = {function.name: decorator for _, function, decorator in cached()}
    assert "scope='session'" in found["_compare_guest"]
    assert "scope='session'" not in found["_compare_ours"]


def test_every_cache_has_an_end() -> None:
    """A bound on entries, bytes or time; or nothing that could multiply: no argument at all."""
    for file, function, decorator in cached():
        bounded = any(word in decorator for word in ("max_entries", "max_size", "ttl"))
        assert bounded or not function.args.args, (file, function.name)
