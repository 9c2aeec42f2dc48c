"""Files of initial weights, which come from anywhere: arrays and nothing else, all of them in the file itself."""

from __future__ import annotations

from pathlib import Path

import h5py

ENDING = ".weights.h5"


def check_file(path: Path) -> None:
    """Refuse what could be more than arrays, before Keras opens it.

    By another ending Keras would take another reader: that of `.keras` archives, whose layers may be code, or that of
    older H5 files, which follows links out of the file. In a file with the right ending every array must lie in it:
    no link to another file, no storage outside of it, no array that is a view of others.

    Raises:
        ValueError: what was expected, and what was found.
        OSError: it is no H5 file, or cannot be read.
    """
    if not path.name.endswith(ENDING):
        raise ValueError(f"expected a file named *{ENDING}, found {path.name}")
    found: list[str] = []

    def look(name: str, link: h5py.HardLink | h5py.SoftLink | h5py.ExternalLink) -> None:
        if not isinstance(link, h5py.HardLink):
            found.append(f"{name} is a link")
            return
        node = file[name]
        if isinstance(node, h5py.Dataset) and (node.external or node.is_virtual):
            found.append(f"{name} is stored elsewhere")

    with h5py.File(path, "r") as file:
        file.visititems_links(look)
    if found:
        raise ValueError(f"expected every array in the file itself, found: {found[0]}")
