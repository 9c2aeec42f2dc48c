"""A folder of overlays over several runs: whose files are in it, who may write there, what gives way to a new run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from core.files import alone, replacing
from core.serving.batch import OVERLAY_INDEX, OverlayError, Overlays, identity, read_index

_PLAN = ".overlays.part"
"""While a run draws overlays: their names, one a line, ahead of the index."""

_LOCK = ".overlays.lock"


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Make the folder and keep other processes' overlays out of it, which would take the places of ours.

    Raises:
        OverlayError: it cannot be made, or another process writes there.
    """
    with ExitStack() as held:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(alone(folder / _LOCK, folder, OverlayError))
        except OSError as error:
            raise OverlayError(
                f"{folder}: expected to make this folder and write there, found: {error.strerror or error}"
            ) from error
        yield


def left_in(folder: Path) -> set[str]:
    """Names of what earlier runs wrote into a folder of overlays, also of what a killed one had not indexed yet.

    Raises:
        OverlayError: another file has the index's name, or it cannot be read.
    """
    plan = folder / _PLAN
    try:
        planned = plan.read_text(encoding="utf-8", errors="replace").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        planned = []
    except OSError as error:
        raise OverlayError(f"{plan}: expected names of overlays, found: {error.strerror or error}") from error
    return {OVERLAY_INDEX, _LOCK, *read_index(folder).values(), *planned}


@contextmanager
def planned(overlays: Overlays) -> Iterator[None]:
    """Leaves the names of overlays behind where a run does not end, since workers draw some ahead of the index.

    Args:
        overlays: of this run.

    Raises:
        OverlayError: they cannot be written.
    """
    plan = overlays.folder / _PLAN
    names = left_in(overlays.folder).union(overlays.names.values()) - {_LOCK}
    try:
        with replacing(plan) as stream:
            stream.writelines(f"{name}\n".encode() for name in sorted(names))
    except OSError as error:
        raise OverlayError(f"{plan}: expected to write there, found: {error.strerror or error}") from error
    yield
    plan.unlink(missing_ok=True)


def clear(folder: Path, inputs: Iterable[str]) -> None:
    """Remove what earlier runs drew: of an image that is refused now, a map would stay for one that was judged.

    Args:
        folder: of the overlays.
        inputs: images of this run, none of which is removed.

    Raises:
        OverlayError: one of them cannot be removed.
    """
    kept = {identity(path) for path in inputs}
    for name in left_in(folder) - {_LOCK}:
        path = folder / name
        try:
            if path.is_file() and identity(path) not in kept:
                path.unlink()
        except OSError as error:
            raise OverlayError(f"{path}: expected to remove it, found: {error.strerror or error}") from error
