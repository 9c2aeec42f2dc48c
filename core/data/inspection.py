"""Reading and decoding every file of a dataset, on all cores. Imports no more than its worker processes need."""

from __future__ import annotations

import hashlib
import io
import multiprocessing
import os
import struct
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from core.data.files import Entry, Reader
from core.data.findings import DatasetError

FEW = 200
"""So many files are read sooner than worker processes start."""


@dataclass(frozen=True)
class Inspected:
    """What one image file turned out to be.

    Attributes:
        image_id: the image that the file is of.
        entry: the file.
        sha256: of the file's bytes, None when it could not be read.
        size: (width, height) in pixels, None when it could not be decoded to its last row.
        problem: why it could not be read or decoded, None when it could.
    """

    image_id: str
    entry: Entry
    sha256: str | None
    size: tuple[int, int] | None
    problem: str | None


def inspect(reader: Reader, image_id: str, entry: Entry) -> Inspected:
    """Read one file and decode it whole. Bad files are an answer here, not an error."""
    try:
        data = reader.read(entry)
    except DatasetError as error:
        return Inspected(image_id, entry, None, None, str(error))
    size, problem = _decode(data)
    return Inspected(image_id, entry, hashlib.sha256(data).hexdigest(), size, problem)


def _decode(data: bytes) -> tuple[tuple[int, int] | None, str | None]:
    """The size of an image, or what is wrong with it.

    Pillow is stricter than OpenCV, which fills what a truncated file lacks with grey.
    """
    from PIL import Image

    if not data:
        return None, "empty"
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(data)) as image:
            warnings.simplefilter("ignore")
            image.load()
            return image.size, None
    # Pillow's decoders raise each of these on damaged files.
    except (
        OSError, ValueError, struct.error, SyntaxError, TypeError, KeyError, IndexError, EOFError, OverflowError,
        Image.DecompressionBombError,
    ) as error:  # fmt: skip
        return None, "no image" if isinstance(error, Image.UnidentifiedImageError) else str(error)


def inspect_all(
    files: Sequence[tuple[str, Entry]], reader: Reader, workers: int | None = None
) -> Iterator[Inspected]:
    """Inspect (image id, file) pairs and give the results in their order.

    Args:
        files: what to inspect.
        reader: reads them where no worker processes are worth it.
        workers: processes; the default is one per core that this process may use.
    """
    workers = workers or _cores()
    if len(files) <= FEW or workers == 1:
        yield from (inspect(reader, image_id, entry) for image_id, entry in files)
        return
    # Not forked: a fork of a process with threads, such as TensorFlow's, can hang.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    try:
        yield from pool.map(_inspect_in_worker, files, chunksize=32)
    finally:
        pool.shutdown(cancel_futures=True)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_worker_reader: Reader | None = None
"""Set in worker processes only, so that each opens every zip once."""


def _start_worker() -> None:
    global _worker_reader
    _worker_reader = Reader()


def _inspect_in_worker(file: tuple[str, Entry]) -> Inspected:
    return inspect(_worker_reader or Reader(), *file)
