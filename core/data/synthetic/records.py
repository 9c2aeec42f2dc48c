"""Plausible metadata in HAM10000's schema: age, sex, site and how the diagnosis was confirmed."""

from __future__ import annotations

import numpy as np

COLUMNS: tuple[str, ...] = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization")

# Mean and deviation of the age in years, the part of men, and the odds of sites and confirmations:
# rounded impressions of what clinics see, not a copy of any dataset's counts.
_AGE = {
    "akiec": (67, 11),
    "bcc": (66, 13),
    "bkl": (64, 13),
    "df": (52, 13),
    "mel": (61, 15),
    "nv": (45, 15),
    "vasc": (51, 19),
}
_MALE = {"akiec": 0.65, "bcc": 0.6, "bkl": 0.55, "df": 0.45, "mel": 0.6, "nv": 0.5, "vasc": 0.5}
_SITES = {
    "akiec": {
        "face": 7,
        "scalp": 2,
        "ear": 1,
        "hand": 2,
        "upper extremity": 4,
        "lower extremity": 3,
        "neck": 1,
    },
    "bcc": {
        "back": 6,
        "face": 5,
        "chest": 2,
        "upper extremity": 2,
        "lower extremity": 2,
        "neck": 1,
        "scalp": 1,
    },
    "bkl": {
        "face": 5,
        "back": 4,
        "lower extremity": 3,
        "upper extremity": 2,
        "trunk": 2,
        "chest": 2,
        "neck": 1,
    },
    "df": {"lower extremity": 14, "upper extremity": 4, "abdomen": 1, "back": 1},
    "mel": {
        "back": 6,
        "upper extremity": 4,
        "lower extremity": 4,
        "face": 2,
        "abdomen": 1,
        "chest": 1,
        "foot": 1,
    },
    "nv": {
        "back": 5,
        "lower extremity": 5,
        "trunk": 4,
        "abdomen": 3,
        "upper extremity": 2,
        "foot": 1,
        "unknown": 1,
    },
    "vasc": {
        "trunk": 4,
        "abdomen": 4,
        "lower extremity": 4,
        "back": 3,
        "upper extremity": 2,
        "face": 1,
        "hand": 1,
    },
}
_CONFIRMED = {
    "akiec": {"histo": 1},
    "bcc": {"histo": 1},
    "bkl": {"histo": 7, "consensus": 2, "confocal": 1},
    "df": {"histo": 1, "consensus": 1},
    "mel": {"histo": 1},
    "nv": {"follow_up": 5, "histo": 4, "consensus": 1},
    "vasc": {"histo": 1, "consensus": 1},
}


def draw_record(code: str, rng: np.random.Generator) -> dict[str, object]:
    """A record without ids: dx, dx_type, age (years, a multiple of 5), sex, localization."""
    mean, deviation = _AGE[code]
    age = float(np.clip(5 * round(rng.normal(mean, deviation) / 5), 5, 85))
    return {
        "dx": code,
        "dx_type": _pick(_CONFIRMED[code], rng),
        "age": age,
        "sex": "male" if rng.random() < _MALE[code] else "female",
        "localization": _pick(_SITES[code], rng),
    }


def _pick(odds: dict[str, int], rng: np.random.Generator) -> str:
    weights = np.array(list(odds.values()), float)
    return str(rng.choice(list(odds), p=weights / weights.sum()))
