"""A dataset that moves, shrinks, grows or comes is noticed; one that is only read is not."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.data import watch as module
from core.data.ham10000 import open_dataset
from core.data.watch import Watch

CHANGES: dict[str, Callable[[Path], object]] = {
    "moved away": lambda folder: folder.rename(folder.with_name("elsewhere")),
    "an image deleted": lambda folder: (folder / "images" / "ISIC_0000003.jpg").unlink(),
    "an image renamed": lambda folder: (folder / "images" / "ISIC_0000003.jpg").rename(
        folder / "images" / "x.jpg"
    ),
    "all images deleted": lambda folder: shutil.rmtree(folder / "images"),
    "the metadata deleted": lambda folder: (folder / "HAM10000_metadata.csv").unlink(),
    "the metadata written to": lambda folder: (folder / "HAM10000_metadata.csv").write_text("image_id,dx\n"),
    "another folder in its place": lambda folder: (
        folder.rename(folder.with_name("elsewhere")),
        shutil.copytree(folder.with_name("elsewhere"), folder, copy_function=shutil.copy2),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_happens_to_a_dataset_is_noticed(small_folder: Path, change: str) -> None:
    dataset = open_dataset(small_folder)
    watch = Watch.on(small_folder, dataset)
    for image_id in dataset.records["image_id"]:
        dataset.read_bytes(image_id)
    assert not watch.has_changed(), "reading changes nothing"
    CHANGES[change](small_folder)
    assert watch.has_changed()


def test_in_zips_and_class_folders(small_set, tmp_path: Path) -> None:
    folder = tmp_path / "zipped"
    folder.mkdir()
    first, second = small_set.halves()
    for name, half in (("a", first), ("b", second)):
        small_set.write_zip(folder / f"{name}.zip", {f"{i}.jpg": data for i, data in half.items()})
    (folder / "HAM10000_metadata.csv").write_text(small_set.csv())
    watch = Watch.on(folder, open_dataset(folder))
    assert not watch.has_changed()
    (folder / "b.zip").write_bytes((folder / "b.zip").read_bytes()[:-1])
    assert watch.has_changed()
    classes = tmp_path / "classes"
    for image_id, data in small_set.images.items():
        (classes / small_set.label(image_id)).mkdir(parents=True, exist_ok=True)
        (classes / small_set.label(image_id) / f"{image_id}.jpg").write_bytes(data)
    watch = Watch.on(classes, open_dataset(classes))
    next((classes / "mel").iterdir()).unlink()
    assert watch.has_changed()


@pytest.mark.parametrize("deep", ["", "a", "a/b/c"])
def test_one_that_comes_is_noticed_wherever_it_lands(small_set, tmp_path: Path, deep: str) -> None:
    folder = tmp_path / "data"
    watch = Watch.on(folder, None)
    (folder / deep).mkdir(parents=True)
    assert watch.has_changed(), "the folder itself"
    watch = Watch.on(folder, None)
    assert not watch.has_changed()
    small_set.write_flat(folder / deep)
    assert watch.has_changed()


def test_somebody_s_home_is_not_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        (tmp_path / f"{number}" / "x" / "y").mkdir(parents=True)
    monkeypatch.setattr(module, "MAX_PLACES", 40)
    assert len(Watch.on(tmp_path, None).places) <= 40 + 30


def test_a_look_is_cheap(small_folder: Path) -> None:
    """Every run of a page takes some."""
    watch = Watch.on(small_folder, open_dataset(small_folder))
    assert len(watch.places) == 3
    start = time.thread_time()
    for _ in range(100):
        watch.has_changed()
    assert time.thread_time() - start < 0.5
