"""What several tests share: the real dataset where there is one, and a tiny one with its schema."""

from __future__ import annotations

import io
import os
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

from core import sweeping
from core.data.findings import DatasetError
from core.data.ham10000 import Dataset, open_dataset
from core.lesions import CODES

# A machine that halts for a moment makes no example wrong.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def same_main() -> Iterator[None]:
    """Streamlit puts a page in place of `__main__`, with which new processes of the tests after it would begin."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(autouse=True, scope="session")
def no_sweeping() -> None:
    """A server's sweeper, which pages start in this process, too, would stop all threads when a test waits."""
    sweeping.TICK_S = 1e6


@pytest.fixture(scope="session")
def ham10000() -> Dataset:
    """The real dataset; skips unless DERMDISTILL_DATA names a usable folder."""
    folder = os.environ.get("DERMDISTILL_DATA")
    if not folder:
        pytest.skip("needs the real dataset: set DERMDISTILL_DATA to a HAM10000 folder")
    try:
        dataset = open_dataset(Path(folder))
    except DatasetError as error:
        pytest.skip(f"DERMDISTILL_DATA names no usable dataset: {error}")
    if dataset.is_synthetic:
        pytest.skip("DERMDISTILL_DATA names synthetic lesions, not HAM10000")
    return dataset


@dataclass(frozen=True)
class SmallSet:
    """Ten lesions of each class, the first two of them with two images, in HAM10000's schema.

    Attributes:
        rows: the metadata, sorted by image_id, columns in Kaggle's order.
        images: image id -> JPEG of 96x72 random pixels, no two alike.
    """

    rows: pd.DataFrame
    images: dict[str, bytes]

    def csv(self, separator: str = ",") -> str:
        """The metadata as text."""
        return self.rows.to_csv(index=False, sep=separator)

    def label(self, image_id: str) -> str:
        """The class of an image."""
        return str(self.rows.set_index("image_id").loc[image_id, "dx"])

    def write_flat(self, folder: Path, images: str = "images") -> Path:
        """One flat folder: the metadata, and the images in a sub-folder ("" for beside it)."""
        (folder / images).mkdir(parents=True, exist_ok=True)
        (folder / "HAM10000_metadata.csv").write_text(self.csv(), encoding="utf-8")
        for image_id, data in self.images.items():
            (folder / images / f"{image_id}.jpg").write_bytes(data)
        return folder

    def halves(self) -> tuple[dict[str, bytes], dict[str, bytes]]:
        """The images in two parts, as HAM10000 is published."""
        items = list(self.images.items())
        middle = len(items) // 2
        return dict(items[:middle]), dict(items[middle:])

    @staticmethod
    def write_zip(path: Path, members: dict[str, bytes | str]) -> Path:
        """A zip of these members."""
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        return path


@pytest.fixture(scope="session")
def small_set() -> SmallSet:
    """A dataset in memory, for tests that write it in one layout or another."""
    rng = np.random.default_rng(7)
    rows, images = [], {}
    for code in CODES:
        for lesion in range(10):
            lesion_id = f"HAM_{CODES.index(code)}{lesion:06d}"
            for _ in range(2 if lesion < 2 else 1):
                image_id = f"ISIC_{len(rows):07d}"
                rows.append((lesion_id, image_id, code, "histo", "" if lesion == 9 else f"{lesion * 10}.0",
                             ("male", "female", "unknown")[lesion % 3], ("back", "face")[lesion % 2]))  # fmt: skip
                images[image_id] = _jpeg(rng)
    columns = ["lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization"]
    return SmallSet(pd.DataFrame(rows, columns=columns), images)


def _jpeg(rng: np.random.Generator) -> bytes:
    pixels = rng.integers(0, 256, (9, 12, 3), dtype=np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@pytest.fixture
def small_folder(small_set: SmallSet, tmp_path: Path) -> Path:
    """The small set as a flat folder on disk, free to be damaged."""
    return small_set.write_flat(tmp_path / "HAM10000")
