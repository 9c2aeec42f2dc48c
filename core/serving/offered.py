"""Which synthetic lesions a page offers first: those that the gate was measured to keep.

Drawn lesions go through the gate like any upload, and it refuses some of them, as it should: they are no photographs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from core.errors import UserError
from core.serving.gate import DEFAULT_MODEL
from core.serving.registry import Registry


def first_kept(registry: Registry, code: str) -> int:
    """The number of the first synthetic lesion of a class that the student's gate keeps; 1 where that is not known."""
    kept = registry.part("offered", lambda: _kept(registry)).get(code)
    return kept[0] if kept else 1


def _kept(registry: Registry) -> Mapping[str, list[int]]:
    manifest = registry.manifest
    relative = manifest.shared.get(f"refusals-{DEFAULT_MODEL}") if manifest is not None else None
    if relative is None:
        return {}
    try:
        kept = json.loads(manifest.read(relative)).get("synthetic_kept", {})
    except (UserError, ValueError, AttributeError):
        return {}
    return kept if _is_right(kept) else {}


def _is_right(kept: object) -> bool:
    return isinstance(kept, dict) and all(
        isinstance(numbers, list) and all(type(number) is int and number > 0 for number in numbers)
        for numbers in kept.values()
    )
