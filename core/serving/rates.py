"""How often the gate is right: end to end, from a file's bytes to its status, on test images and foreign pictures."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from tqdm import tqdm

from core.data.foreign import DRAWN, Foreign, as_png
from core.evaluation.intervals import wilson_bounds
from core.serving.answer import OK, OUT_OF_DISTRIBUTION, Answer, Diagnoser
from core.serving.batch import map_bounded
from core.serving.classifier import ORIENTATIONS
from core.serving.runtime import cores

VERSION = 1
KEPT = 0.98
"""At which share of kept test images the refused foreign pictures are stated."""

Read = Callable[[str], bytes]


@dataclass(frozen=True)
class Share:
    """So many of so many, with a 95% interval (Wilson) where the images are a sample of something.

    Attributes:
        count, images: so many, of so many.
        value, low, high: the share and its interval.
    """

    count: int
    images: int
    value: float
    low: float
    high: float

    @classmethod
    def of(cls, hits: Sequence[bool], cases: int | None = None) -> Share:
        """The share of true ones; of none it is 0, from 0 to 1.

        Args:
            hits: one for each image.
            cases: how many of them are independent, such as their lesions; None where all are.
        """
        if not hits:
            return cls(0, 0, 0.0, 0.0, 1.0)
        value = sum(hits) / len(hits)
        low, high = wilson_bounds(value, cases or len(hits))
        return cls(sum(hits), len(hits), value, float(low), float(high))


@dataclass(frozen=True)
class Rates:
    """What `python -m core gate report` stores and prints.

    Attributes:
        model: whose gate it is.
        test: test images kept.
        advice: sentence -> share of the test images that get it.
        foreign: group of foreign pictures -> refused.
        drawn, photographs: refused, over the groups.
        at_98: all foreign pictures refused by a limit moved so that 98% of the test images are kept.
        missed: foreign pictures that were accepted.
        unread: foreign pictures that intake rejected already; they count nowhere.
        turned: test images whose status all eight orientations have, each saved as PNG.
        changed: test images with another status in some view.
        synthetic: drawn lesions kept: no foreign pictures, and no dermatoscopic ones either.
        synthetic_kept: class -> numbers of the drawn lesions that were kept, to be offered first.
    """

    model: str
    test: Share
    advice: dict[str, Share]
    foreign: dict[str, Share]
    drawn: Share
    photographs: Share
    at_98: Share
    missed: tuple[str, ...]
    unread: tuple[str, ...]
    turned: Share
    changed: tuple[str, ...]
    synthetic: Share
    synthetic_kept: dict[str, tuple[int, ...]]
    version: int = field(default=VERSION)

    def to_json(self) -> dict[str, Any]:
        """As it is stored."""
        return asdict(self)


def measure_rates(
    diagnoser: Diagnoser,
    test: Mapping[str, str],
    read: Read,
    foreign: Iterable[Foreign],
    synthetic: Iterable[tuple[str, int, bytes]],
    *,
    turned: int,
) -> Rates:
    """Measure a gate.

    Args:
        diagnoser: a model behind its gate, with limits for advice.
        test: ids of the test images, with their lesions'.
        read: id -> the file's bytes.
        foreign: pictures to be refused.
        synthetic: drawn lesions: class, number, the file's bytes.
        turned: how many of the test images, evenly chosen, are turned.

    Raises:
        ValueError: the diagnoser has no gate.
    """
    if diagnoser.gate is None:
        raise ValueError(f"expected a gate, found none: {diagnoser.note}")
    own = _answer(diagnoser, ((name, read(name)) for name in test), "test images", len(test))
    others, unread = _foreign(diagnoser, foreign)
    views, changed = _turn(diagnoser, own, read, _evenly(list(test), turned))
    drawn_lesions = [
        (code, number, diagnoser.answer(data).status == OK)
        for code, number, data in tqdm(synthetic, "synthetic", leave=False)
    ]
    limit = float(np.quantile([_score(answer) for answer in own.values()], KEPT)) if own else 1.0
    groups: dict[str, list[bool]] = defaultdict(list)
    for picture, answer in others:
        groups[_group(picture)].append(answer.status == OUT_OF_DISTRIBUTION)
    return Rates(
        model=diagnoser.gate.model,
        test=Share.of([answer.status == OK for answer in own.values()], len(set(test.values()))),
        advice=_advice(list(own.values())),
        foreign={name: Share.of(hits) for name, hits in groups.items()},
        drawn=Share.of([a.status == OUT_OF_DISTRIBUTION for p, a in others if p.kind == DRAWN]),
        photographs=Share.of([a.status == OUT_OF_DISTRIBUTION for p, a in others if p.kind != DRAWN]),
        at_98=Share.of([_score(answer) > limit for _, answer in others]),
        missed=tuple(p.name for p, answer in others if answer.status == OK),
        unread=unread,
        turned=Share.of(views),
        changed=changed,
        synthetic=Share.of([kept for _, _, kept in drawn_lesions]),
        synthetic_kept={
            code: tuple(number for of, number, kept in drawn_lesions if kept and of == code)
            for code in dict.fromkeys(code for code, _, _ in drawn_lesions)
        },
    )


def _score(answer: Answer) -> float:
    return answer.verdict.score if answer.verdict else 0.0


def _group(picture: Foreign) -> str:
    if picture.kind == DRAWN:
        return picture.name.rpartition("-")[0]
    package, _, name = picture.name.partition("/")
    return f"{package} faces" if name.startswith("lfw-face") else package


def _evenly(names: list[str], count: int) -> list[str]:
    """So many of them, or all."""
    places = np.linspace(0, len(names) - 1, min(count, len(names))).astype(int)
    return [names[place] for place in places]


def _answer(
    diagnoser: Diagnoser, files: Iterable[tuple[str, bytes]], what: str, total: int
) -> dict[str, Answer]:
    """Name -> answer without the pixels, which would not all fit in memory."""

    def answer(file: tuple[str, bytes]) -> tuple[str, Answer]:
        full = diagnoser.answer(file[1], file[0])
        return file[0], Answer(full.status, full.reason, None, None, full.verdict, full.quality)

    bar = tqdm(
        map_bounded(answer, files, cores()), what, total or None, unit="image", leave=False, mininterval=1
    )
    return dict(bar)


def _foreign(
    diagnoser: Diagnoser, pictures: Iterable[Foreign]
) -> tuple[list[tuple[Foreign, Answer]], tuple[str, ...]]:
    kept = {picture.name: picture for picture in pictures}
    answers = _answer(diagnoser, ((p.name, p.data) for p in kept.values()), "foreign pictures", len(kept))
    read = [(kept[name], answer) for name, answer in answers.items() if answer.verdict is not None]
    return read, tuple(name for name, answer in answers.items() if answer.verdict is None)


def _turn(
    diagnoser: Diagnoser, own: dict[str, Answer], read: Read, names: Sequence[str]
) -> tuple[list[bool], tuple[str, ...]]:
    """Whether all views of each image have its status, and the images of which one has not."""
    from core.data.pixels import decode, turn

    def views() -> Iterable[tuple[str, bytes]]:
        for name in names:
            pixels = decode(read(name), name)
            for k in range(max(ORIENTATIONS)):
                yield f"{name} {k}", as_png(np.ascontiguousarray(turn(pixels, k)))

    answers = _answer(diagnoser, views(), "turned", len(names) * max(ORIENTATIONS))
    same = {view: answer.status == own[view.split()[0]].status for view, answer in answers.items()}
    by_image = itertools.groupby(same, key=lambda view: view.split()[0])
    kept = {name: all(same[view] for view in group) for name, group in by_image}
    return list(kept.values()), tuple(name for name, alike in kept.items() if not alike)


def _advice(answers: Sequence[Answer]) -> dict[str, Share]:
    given = sorted({sentence for answer in answers for sentence in answer.quality.advice})
    return {
        sentence: Share.of([sentence in answer.quality.advice for answer in answers]) for sentence in given
    }
