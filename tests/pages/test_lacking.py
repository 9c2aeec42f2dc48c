"""Artifacts of which all but one model was deleted: every page works, and says what is missing and what makes it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.artifacts import load_manifest
from core.evaluation.latency import COMMAND as BENCHMARK
from core.serving.registry import KNOWN
from core.settings import ROOT

SHIPPED = ROOT / "artifacts"

NAMED: dict[str, tuple[str, ...]] = {
    "overview": (BENCHMARK,),
    "prediction": ("python -m core train", "python -m core gate fit"),
    "dataset": ("The shipped counts are left out",),
    "comparison": ("python -m core evaluate",),
    "confusion": ("python -m core evaluate",),
    "lab": ("python -m core evaluate", "The table of the runs cannot be read"),
    "models": ("python -m core compress",),
}
"""Page -> commands that it must name. Privacy shows nothing that could be missing."""


@pytest.fixture
def lacking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The shipped manifest beside the file of its smallest model, and nothing else; gives the model's name."""
    if not (SHIPPED / "manifest.json").is_file():
        pytest.skip("needs the shipped artifacts")
    manifest = load_manifest(SHIPPED)
    sizes = {
        name: manifest.files[entry.files["litert"]].bytes
        for name, entry in manifest.models.items()
        if "litert" in entry.files
    }
    name = min(sizes, key=sizes.get)
    kept = manifest.models[name].files["litert"]
    folder = tmp_path / "artifacts"
    (folder / kept).parent.mkdir(parents=True)
    shutil.copy(SHIPPED / "manifest.json", folder)
    shutil.copy(SHIPPED / kept, folder / kept)
    monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(folder))
    return name


def everything(app: AppTest) -> str:
    kinds = (app.info, app.warning, app.error, app.caption, app.markdown, app.text)
    said = [element.value for kind in kinds for element in kind]
    return "\n".join([*said, *(frame.value.to_string() for frame in app.dataframe)]).replace("\\", "")


@pytest.mark.slow
@pytest.mark.parametrize("page", NAMED)
def test_one_model_s_file_is_enough_for_every_page(lacking: str, open_page: Callable, page: str) -> None:
    app = open_page(page, **({"source": "Sample"} if page == "prediction" else {}))
    assert not app.exception
    assert app.title
    said = everything(app)
    for command in NAMED[page]:
        assert command in said, command
    if page == "overview":
        (rows,) = [frame.value for frame in app.dataframe if "command that makes one" in frame.value]
        assert set(rows["model"]) == {KNOWN[name].title for name in KNOWN if name != lacking}
        assert rows["state"].str.startswith("cannot be used: ").all()
    if page == "prediction":
        assert app.multiselect(key="models").value == [lacking]
        assert app.get("image") or app.warning, "a verdict with its maps, or why there is none"
