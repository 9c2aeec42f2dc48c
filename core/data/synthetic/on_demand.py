"""A synthetic dataset that lies nowhere: its records at once, each picture when somebody looks at it.

It is the very set that `python -m core synthesize --total 700 --mix ham10000` writes.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd

from core.data.findings import DatasetError
from core.data.metadata import COLUMNS
from core.data.synthetic.dataset import Picture, draw_file, full_record, make_plan, plan_pictures
from core.data.synthetic.lesion import FINE_ENOUGH, render

TOTAL = 700
PREVIEW_HEIGHT = FINE_ENOUGH
"""Pixels, about as large as galleries show it: a filter waits for a page of pictures that were never drawn, and any
smaller ones take longer."""


class DrawnSet:
    """What the dashboard shows where HAM10000 is not at hand.

    Attributes:
        records: as `core.data.ham10000.Dataset.records`.
        size: width and height of a whole picture, pixels.
    """

    def __init__(self, total: int = TOTAL) -> None:
        plan = make_plan(total=total, mix="ham10000")
        self.size = (plan.width, plan.height)
        self._pictures = {picture.image_id: picture for picture in plan_pictures(plan)}
        rows = [full_record(picture) for picture in self._pictures.values()]
        self.records = pd.DataFrame(rows, columns=list(COLUMNS))

    def read_bytes(self, image_id: str) -> bytes:
        """The JPEG file that `make_dataset` would have written.

        Raises:
            DatasetError: there is no such picture.
        """
        return draw_file(self._picture(image_id), self.size)

    def preview(self, image_id: str) -> np.ndarray:
        """(height, width, 3) uint8 RGB, the same lesion drawn small.

        Raises:
            DatasetError: there is no such picture.
        """
        picture = self._picture(image_id)
        width = round(PREVIEW_HEIGHT * self.size[0] / self.size[1])
        return render(picture.code, picture.seed, (width, PREVIEW_HEIGHT), view=picture.view).image

    def _picture(self, image_id: str) -> Picture:
        try:
            return self._pictures[image_id]
        except KeyError:
            raise DatasetError(
                f"expected a picture of the synthetic set, SYN_0000001 to SYN_{len(self._pictures):07d}, "
                f"found {image_id!r}"
            ) from None


@lru_cache(maxsize=1)
def drawn_set() -> DrawnSet:
    """The set that is shown, made once in a process."""
    return DrawnSet()
