"""The model card as it travels: what it says of the project's surroundings would be false in the exported folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

import pandas as pd

from core.evaluation.cards import FILES, Card, Section
from core.evaluation.refusals import TITLE as FOREIGN

NO_CHECK = (
    "In the project a separate check refuses pictures that are no dermatoscopic images. It is not in this folder: this "
    "file names one of its diagnoses whatever it is shown, and may be sure of it."
)


def travelling(card: Card, files: Mapping[str, bytes]) -> Card:
    """A card without the project's check and files.

    Args:
        card: as the dashboard shows it.
        files: of the folder, beside the card: name -> content.
    """
    rows = [(name, len(data), sha256(data).hexdigest()) for name, data in sorted(files.items())]
    instead = {
        FOREIGN: Section(FOREIGN, (NO_CHECK,)),
        FILES: Section(FILES, table=pd.DataFrame(rows, columns=["file", "bytes", "sha256"])),
    }
    return replace(card, sections=tuple(instead.get(section.title, section) for section in card.sections))
