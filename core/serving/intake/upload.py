"""What intake gives back: an upload that was read, or a rejection that says why it was not."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from core import settings
from core.data.pixels import to_input

UNNAMED = "unnamed"
_MARKUP = str.maketrans({"<": "‹", ">": "›", "[": "(", "]": ")", "`": "'", "&": "+"})
_KEPT_ENDING = 12


@dataclass(frozen=True, eq=False)
class Upload:
    """One picture that may go on: pixels alone, no metadata.

    Two uploads are the same picture when their `sha256` is equal; caches key on it. The arrays are read-only.
    The file name may hold a patient's name, so it stays out of `repr` and thereby out of logs.
    """

    sha256: str
    """Of the bytes as they came, 64 hexadecimal digits."""
    pixels: np.ndarray = field(repr=False)
    """(height, width, 3) uint8 sRGB, upright, at full resolution."""
    display: np.ndarray = field(repr=False)
    """The same picture with a longest side of at most `settings.MAX_DISPLAY_SIDE`; never enlarged."""
    width: int
    height: int
    format: str
    """JPEG, PNG, WebP, BMP, TIFF or DICOM."""
    notes: tuple[str, ...]
    """What was changed on the way, in sentences."""
    name: str = field(repr=False)
    """`display_name` of the file's name."""

    @cached_property
    def input(self) -> np.ndarray:
        """(224, 224, 3) uint8 of `core.data.pixels.to_input`: made once for models and gate, since it takes about as
        long as decoding."""
        pixels = to_input(self.pixels)
        pixels.flags.writeable = False
        return pixels


@dataclass(frozen=True)
class Rejection:
    """One file that may not go on, and why, in words that do not repeat anything from inside the file."""

    reason: str
    """A sentence for a clinician: what was expected, what came, what to do."""
    code: str
    """One of `core.serving.intake.refusal.CODES`."""
    name: str = field(repr=False)
    """`display_name` of the file's name."""


def display_name(name: str | None, longest: int = settings.MAX_NAME_LENGTH) -> str:
    """A file's name for showing: no path, no control or direction characters, no markup, at most `longest` characters.

    What is cut out of a long name is its middle, so that the ending stays. It is text: a page that puts it into
    HTML escapes it all the same.
    """
    if not name:
        return UNNAMED
    last = str(name).replace("\\", "/").rstrip("/").rpartition("/")[2]
    # C* are control, format (zero width, bidirectional), surrogate, private and unassigned; Zl, Zp break lines.
    kept = (
        c
        for c in last[:4096]
        if unicodedata.category(c)[0] != "C" and unicodedata.category(c) not in ("Zl", "Zp")
    )
    clean = " ".join(unicodedata.normalize("NFC", "".join(kept)).translate(_MARKUP).split())
    if clean.strip(". ") == "":
        return UNNAMED
    if len(clean) > longest:
        head = longest - _KEPT_ENDING - 1
        clean = f"{clean[:head]}…{clean[-_KEPT_ENDING:]}"
    return clean
