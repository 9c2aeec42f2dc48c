"""What colours and marks stand for, read from the HTML."""

from xml.etree import ElementTree

from core.figures.keys import class_key, model_key
from core.figures.style import class_colour, mark_style
from core.lesions import LESIONS


def entries(html: str) -> list[tuple[str, str]]:
    """(style of the mark, words) of every entry; the HTML must be well formed."""
    found = [e for e in ElementTree.fromstring(html).iter("span") if e.get("role") == "listitem"]
    return [(entry[0].get("style"), entry[1].text) for entry in found]


def test_every_class_is_named_beside_its_colour() -> None:
    found = entries(class_key())
    assert [words for _, words in found] == [lesion.name for lesion in LESIONS]
    assert all(class_colour(x.code) in style for (style, _), x in zip(found, LESIONS, strict=True))


def test_models_stand_beside_their_marks_and_names_are_text() -> None:
    found = entries(model_key({"student": "Student", "mine": "<i>Mine</i>"}))
    assert [words for _, words in found] == ["Student", "<i>Mine</i>"]
    assert mark_style("student") in found[0][0]
