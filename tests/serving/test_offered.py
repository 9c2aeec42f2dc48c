"""Of the synthetic lesions, those that the gate keeps are offered first, and nothing stored can break a page."""

from __future__ import annotations

import json

import pytest

from core.artifacts import update_shared, write_atomically
from core.serving.offered import first_kept
from core.serving.registry import Registry


@pytest.fixture
def registry(make_artifacts):
    """A registry over artifacts with these rates stored for the student."""

    def make(text: str | None) -> Registry:
        folder = make_artifacts("student")
        if text is not None:
            write_atomically(folder / "rates.json", text.encode())
            update_shared(folder, {"refusals-student": "rates.json"}, formats={"refusals-student": "json"})
        return Registry.open()

    return make


def test_the_first_that_was_kept(registry):
    found = registry(json.dumps({"synthetic_kept": {"mel": [3, 5], "nv": []}}))
    assert [first_kept(found, code) for code in ("mel", "nv", "bcc")] == [3, 1, 1]


@pytest.mark.parametrize(
    "text",
    [None, "{", "[]", "{}", '{"synthetic_kept": [1]}', '{"synthetic_kept": {"mel": 3}}',
     '{"synthetic_kept": {"mel": ["3"]}}', '{"synthetic_kept": {"mel": [0]}}'],
)  # fmt: skip
def test_anything_else_is_the_first(registry, text):
    assert first_kept(registry(text), "mel") == 1
