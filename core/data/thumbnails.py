"""Small copies of a dataset's images, made when they are first shown and kept within a bound."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from core.data.pixels import PixelError, decode
from core.errors import UserError

WIDTH, HEIGHT = 268, 201
"""Box that a thumbnail fits, pixels: 4 to 3 as HAM10000's images are, and sharp where it is shown smaller."""

QUALITY = 85
KEPT = 1500
"""Thumbnails of one dataset in memory: at some 8 KB each about 12 MB."""

WORKERS = 4


def thumbnail(data: bytes, name: str) -> bytes:
    """A dataset's image file as a JPEG that fits the box.

    Raises:
        PixelError: it does not decode.
    """
    # A JPEG decoder gives half the size in a fraction of the time.
    small = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_REDUCED_COLOR_2) if data else None
    if small is None or small.shape[0] < HEIGHT or small.shape[1] < WIDTH:
        small = cv2.cvtColor(decode(data, name), cv2.COLOR_RGB2BGR)
    return _encode(small, name)


def of_pixels(rgb: np.ndarray, name: str) -> bytes:
    """(height, width, 3) uint8 RGB as such a JPEG."""
    return _encode(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), name)


def _encode(bgr: np.ndarray, name: str) -> bytes:
    scale = min(WIDTH / bgr.shape[1], HEIGHT / bgr.shape[0])
    if scale < 1:
        size = (max(1, round(bgr.shape[1] * scale)), max(1, round(bgr.shape[0] * scale)))
        bgr = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise PixelError(f"{name}: expected an image that JPEG can hold, found {bgr.dtype} {bgr.shape}")
    return data.tobytes()


class Thumbnails:
    """The thumbnails of one dataset, the most recently shown ones kept. Safe in threads."""

    def __init__(self, make: Callable[[str], bytes], kept: int = KEPT) -> None:
        """
        Args:
            make: image id -> JPEG; a `UserError` is remembered as its sentence.
            kept: how many stay in memory.
        """
        self._make = make
        self._kept = kept
        self._known: OrderedDict[str, bytes | str] = OrderedDict()
        self._lock = threading.Lock()
        self._errand = threading.Lock()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, image_ids: Sequence[str]) -> list[bytes | str]:
        """The JPEG of every image, or why there is none; those not known yet are made side by side."""
        with self._lock:
            known = {image_id: self._known[image_id] for image_id in image_ids if image_id in self._known}
        missing = [image_id for image_id in dict.fromkeys(image_ids) if image_id not in known]
        if missing:
            known |= dict(zip(missing, self._try_all(missing), strict=True))
        with self._lock:
            for image_id in image_ids:
                self._known[image_id] = known[image_id]
                self._known.move_to_end(image_id)
            while len(self._known) > self._kept:
                self._known.popitem(last=False)
        return [known[image_id] for image_id in image_ids]

    def prepare(self, image_ids: Sequence[str]) -> None:
        """Make thumbnails in the background, such as those of the next page; at most one such errand at a time."""
        if image_ids and self._errand.acquire(blocking=False):
            threading.Thread(target=self._run_errand, args=(list(image_ids),), daemon=True).start()

    def _run_errand(self, image_ids: list[str]) -> None:
        try:
            # One after the other, since somebody else is waiting for the processor.
            for image_id in image_ids:
                self.get([image_id])
        finally:
            self._errand.release()

    def _try_all(self, image_ids: Sequence[str]) -> list[bytes | str]:
        if len(image_ids) == 1:
            return [self._try(image_ids[0])]
        with ThreadPoolExecutor(min(WORKERS, len(image_ids))) as pool:
            return list(pool.map(self._try, image_ids))

    def _try(self, image_id: str) -> bytes | str:
        try:
            return self._make(image_id)
        except UserError as error:
            return str(error)
