"""The seven diagnoses of HAM10000, in the one order used by every array, file and page."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import UserError


@dataclass(frozen=True)
class Lesion:
    """One diagnosis.

    Attributes:
        code: HAM10000's abbreviation (column `dx`).
        name: what a clinician calls it.
        malignant: whether it belongs to the malignancy score (melanoma, basal cell carcinoma and
            the intraepithelial carcinomas of `akiec`).
        colour: its colour on every page, from the Okabe-Ito palette, which colour-blind people
            can tell apart, by its lightness too; on a light ground the lightest need an edge.
        note: one sentence for people who do not know the term.
    """

    code: str
    name: str
    malignant: bool
    colour: str
    note: str


LESIONS: tuple[Lesion, ...] = (
    Lesion(
        "akiec",
        "Actinic keratosis / Bowen's disease",
        True,
        "#E69F00",
        "Sun-damaged skin that can become, or already is, a superficial carcinoma.",
    ),
    Lesion(
        "bcc",
        "Basal cell carcinoma",
        True,
        "#D55E00",
        "The most common skin cancer; it grows slowly and rarely spreads.",
    ),
    Lesion(
        "bkl",
        "Benign keratosis",
        False,
        "#56B4E9",
        "Seborrhoeic keratosis, solar lentigo or lichen-planus-like keratosis: harmless.",
    ),
    Lesion(
        "df",
        "Dermatofibroma",
        False,
        "#009E73",
        "A firm, harmless nodule of the skin's connective tissue.",
    ),
    Lesion(
        "mel",
        "Melanoma",
        True,
        "#CC79A7",
        "The most dangerous skin cancer; found early it can be cured by excision.",
    ),
    Lesion(
        "nv",
        "Melanocytic nevus",
        False,
        "#0072B2",
        "A common mole: a harmless growth of pigment cells.",
    ),
    Lesion(
        "vasc",
        "Vascular lesion",
        False,
        "#999933",
        "Angioma, angiokeratoma, pyogenic granuloma or haemorrhage: blood vessels, harmless.",
    ),
)

CODES: tuple[str, ...] = tuple(lesion.code for lesion in LESIONS)
INDEX: dict[str, int] = {code: i for i, code in enumerate(CODES)}
BY_CODE: dict[str, Lesion] = {lesion.code: lesion for lesion in LESIONS}
MALIGNANT: tuple[int, ...] = tuple(i for i, lesion in enumerate(LESIONS) if lesion.malignant)
N_CLASSES = len(LESIONS)


class ClassOrderError(UserError, ValueError):
    """A file stores another class order than this library's."""


def check_class_order(found: object, source: str) -> None:
    """Refuse `source` unless the class order that it stores is `CODES`.

    Args:
        found: the codes as read from the file, a sequence of strings.
        source: what is named in the error, a file or a model.

    Raises:
        ClassOrderError: the order differs.
    """
    if not isinstance(found, (list, tuple)) or tuple(found) != CODES:
        raise ClassOrderError(f"{source}: expected the classes {' '.join(CODES)}, found {found!r}")
