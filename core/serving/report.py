"""Reports to print and to keep: of one case, and of many images, each a single HTML file.

The file has no script and fetches nothing, and a policy inside it forbids both. Every text goes through Jinja's
escaping. Pictures are drawn anew from pixels, so nothing of an upload's metadata is in them; a case's report does not
even hold the file's name, which can be a patient's.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from core.lesions import BY_CODE, INDEX, LESIONS
from core.numbers import percent, told_apart
from core.serving.answer import OK
from core.serving.classifier import Diagnosis
from core.serving.gate import gate_key
from core.serving.overlay import draw_overlay, shrink
from core.serving.overview import (
    legend,
    models_of,
    most_suspicious_first,
    said_of,
    suspicion_of,
    thumbnail,
    verdict_of,
)
from core.serving.panel import Reading
from core.serving.registry import Registry
from core.serving.similar import SimilarLesion, index_key
from core.serving.wording import (
    NOT_CHECKED,
    Said,
    accepted_sentence,
    as_sentence,
    failure_sentences,
    quality_sentences,
    say,
)

if TYPE_CHECKING:
    from jinja2 import Environment

CASE_FILE, BATCH_FILE = "case-report.html", "report.html"
"""Names that say nothing of whose image it is."""

PICTURE_SIDE = 640
UNKNOWN = "not known"


def case_report(
    registry: Registry,
    reading: Reading,
    similar: Sequence[SimilarLesion] = (),
    notice: str | None = None,
    *,
    made: date | None = None,
) -> str:
    """One image: checks, verdict, probabilities by model, maps, similar lesions, and which files said so.

    Args:
        registry: the models that answered.
        reading: of an image that could be read.
        similar: as `core.serving.similar.describe` gives them.
        notice: what the image is, where that is known: that it is synthetic, or its recorded diagnosis.
        made: the day to print; today where it is None.

    Raises:
        ValueError: the image could not be read, so that there is nothing to report.
    """
    if reading.display is None:
        raise ValueError(f"expected an image that could be read, found {reading.status}: {reading.reason}")
    said = reading.diagnoses
    names = [diagnosis.model for diagnosis in said]
    return _render(
        "case.html",
        title="Case report",
        notice=notice,
        made=made,
        models=[_model(registry, name) for name in _with_members(registry, names)],
        files=_files(registry, [reading.gate], [lesion.model for lesion in similar]),
        gate=_gate(reading),
        memory=reading.memory,
        poor=reading.quality.poor,
        advice=quality_sentences(reading.quality),
        notes=[as_sentence(note) for note in reading.notes],
        picture=_jpeg(reading.display),
        words=_words(registry, reading),
        models_said=[_said(registry, diagnosis) for diagnosis in said],
        probabilities=_probabilities(said),
        maps=_maps(registry, reading),
        failures=failure_sentences(reading.failures, _titles(registry, reading)),
        similar=[_similar(lesion) for lesion in similar],
        similar_to=registry.short_title(similar[0].model) if similar else "",
    )


def batch_report(registry: Registry, readings: Sequence[Reading], *, made: date | None = None) -> str:
    """Many images as a table, the most suspicious first; images that were not judged last.

    Args:
        registry: the models that answered.
        readings: of the images, with the names of their files.
        made: the day to print; today where it is None.
    """
    ordered = most_suspicious_first(readings)
    leading, beside = models_of(ordered)
    titles = {name: title for reading in ordered for name, title in _titles(registry, reading).items()}
    return _render(
        "batch.html",
        title="Report on several images",
        made=made,
        models=[_model(registry, name) for name in _with_members(registry, [*leading, *beside])],
        files=_files(registry, [reading.gate for reading in ordered], []),
        lead=" or ".join(titles[name] for name in leading),
        legend=legend(ordered, titles),
        rows=[_row(registry, reading, titles) for reading in ordered],
    )


def _titles(registry: Registry, reading: Reading) -> dict[str, str]:
    """The models that were asked -> their names for people."""
    names = (*(diagnosis.model for diagnosis in reading.diagnoses), *reading.failures)
    return {name: registry.short_title(name) for name in names}


@cache
def _environment() -> Environment:
    # Takes 50 ms, which only a report needs.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )


def _render(template: str, *, made: date | None, **values: Any) -> str:
    return _environment().get_template(template).render(made=(made or date.today()).isoformat(), **values)


def _jpeg(rgb: np.ndarray) -> str:
    """(h, w, 3) uint8 RGB as a data URI."""
    small = cv2.cvtColor(shrink(rgb, PICTURE_SIDE), cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 90])
    if not done:
        raise ValueError(f"expected an image that JPEG can hold, found {rgb.dtype} {rgb.shape}")
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"


def _with_members(registry: Registry, names: Sequence[str]) -> list[str]:
    """The models, and after an ensemble those that it consists of."""
    found: list[str] = []
    for name in names:
        entry = registry.state(name).entry
        found += [name, *(entry.members if entry else ())]
    return list(dict.fromkeys(found))


def _model(registry: Registry, name: str) -> dict[str, str]:
    entry, manifest = registry.state(name).entry, registry.manifest
    path = entry.files.get("litert") if entry else None
    threshold = _threshold(registry, name)
    return {
        "title": registry.short_title(name),
        "network": (entry.network if entry else "") or "mean of several",
        "temperature": f"{entry.temperature:.3f}" if entry else UNKNOWN,
        "threshold": "none" if threshold is None else f"{threshold:.6g}",
        "commit": (entry.commit if entry else "") or UNKNOWN,
        "sha256": manifest.files[path].sha256 if manifest and path else "none of its own",
    }


def _threshold(registry: Registry, name: str) -> float | None:
    entry = registry.state(name).entry
    return entry.malignancy_threshold if entry else None


def _score(registry: Registry, diagnosis: Diagnosis) -> str:
    """The malignancy score, which must not seem to lie on the other side of the operating point."""
    threshold = _threshold(registry, diagnosis.model)
    return told_apart(diagnosis.malignancy, diagnosis.malignancy if threshold is None else threshold)[0]


def _files(registry: Registry, gates: Sequence[str], indexes: Sequence[str]) -> list[tuple[str, str]]:
    """The files of gates and indexes that took part, by the models that they were fitted on: what, and their hashes."""
    manifest = registry.manifest
    if manifest is None:
        return []
    wanted = {
        key_of(name): f"{what}, fitted on {registry.short_title(name)}"
        for what, key_of, names in (("Gate", gate_key, gates), ("Index of lesions", index_key, indexes))
        for name in dict.fromkeys(names)
        if name
    }
    return [
        (what, manifest.files[manifest.shared[key]].sha256)
        for key, what in wanted.items()
        if key in manifest.shared
    ]


def _gate(reading: Reading) -> str:
    if reading.status != OK:
        return f"Not judged. {reading.reason}"
    if reading.verdict is None:
        return NOT_CHECKED
    return accepted_sentence(reading.verdict)


def _words(registry: Registry, reading: Reading) -> Said | None:
    lead = reading.lead
    if lead is None:
        return None
    entry = registry.state(lead.model).entry
    titles = _titles(registry, reading)
    return say(reading.diagnoses, titles, entry.operating_point if entry else None, poor=reading.quality.poor)


def _said(registry: Registry, diagnosis: Diagnosis) -> dict[str, str]:
    return {
        "title": registry.short_title(diagnosis.model),
        "malignancy": _score(registry, diagnosis),
        "suspicious": {None: "none chosen", True: "yes", False: "no"}[diagnosis.suspicious],
    }


def _probabilities(diagnoses: Sequence[Diagnosis]) -> list[dict[str, Any]]:
    """A row for each class, in the order of the leading model's probabilities."""
    if not diagnoses:
        return []
    order = np.argsort(-diagnoses[0].probabilities, kind="stable")
    return [
        {
            "name": LESIONS[i].name,
            "malignant": LESIONS[i].malignant,
            "leading": LESIONS[i].code == diagnoses[0].label,
            "shares": [percent(float(d.probabilities[i])) for d in diagnoses],
        }
        for i in order
    ]


def _maps(registry: Registry, reading: Reading) -> list[dict[str, str]]:
    """Of each model the map of the class that it leads with."""
    found = []
    for diagnosis in reading.diagnoses:
        name = BY_CODE[diagnosis.label].name
        overlay = draw_overlay(
            shrink(reading.display, PICTURE_SIDE),
            diagnosis.maps[INDEX[diagnosis.label]],
            opacity=0.6,
            label=name,
        )
        if overlay.image is not None:
            caption = f"{registry.short_title(diagnosis.model)}: {name}, {percent(diagnosis.confidence)}"
            found.append({"picture": _jpeg(overlay.image), "caption": caption})
    return found


def _similar(lesion: SimilarLesion) -> dict[str, str]:
    return {
        "image_id": lesion.image_id,
        "diagnosis": BY_CODE[lesion.dx].name,
        "similarity": lesion.similarity_in_words,
        "age": UNKNOWN if lesion.age is None else f"{lesion.age:.0f}",
        "sex": lesion.sex or UNKNOWN,
        "site": lesion.site or UNKNOWN,
    }


def _row(registry: Registry, reading: Reading, titles: Mapping[str, str]) -> dict[str, Any]:
    lead = reading.lead
    return {
        "picture": thumbnail(reading.display),
        "name": reading.whole_name or reading.name,
        "verdict": verdict_of(reading),
        "judged": not reading.reason,
        "poor": reading.quality.poor,
        "said": said_of(reading, titles),
        "diagnosis": BY_CODE[lead.label].name if lead else "",
        "confidence": percent(lead.confidence) if lead else "",
        "malignancy": _score(registry, lead) if lead else "",
        "suspicious": suspicion_of(reading) or "",
    }
