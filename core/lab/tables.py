"""The lab's tables for people and for downloads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from core.lab.findings import Cells, of_cell
from core.lab.loss import Loss
from core.lab.plan import groups_of
from core.lab.soft_labels import entropy, softened
from core.lab.table import Outcome
from core.lab.variants import BY_KEY, Variant
from core.lesions import CODES


def runs_table(outcomes: Iterable[Outcome]) -> pd.DataFrame:
    """One row for each run: what it was, its seed, commit, epochs and figures."""
    rows = []
    for outcome in outcomes:
        variant = outcome.variant
        rows.append(
            {
                "run": variant.name,
                "groups": " ".join(groups_of(variant)),
                "start": variant.start,
                "teachers": "+".join(variant.teachers),
                "temperature": variant.temperature if variant.teachers else np.nan,
                "alpha": variant.alpha if variant.teachers else 0.0,
                "hint": variant.hint,
                "share": variant.share,
                "class_weights": variant.balance,
                "mistakes": ", ".join(BY_KEY[key].title for key in variant.mistakes),
                "seed": variant.seed,
                "split": variant.split,
                **outcome.figures,
                "soft_entropy": outcome.soft_entropy,
                "teacher_accuracy": outcome.teacher_accuracy,
                "epochs": outcome.epochs,
                "best_epoch": outcome.best_epoch,
                "seconds": outcome.seconds,
                "train_images": outcome.train_images,
                "commit": outcome.commit,
                "initial_weights": outcome.initial_weights,
            }
        )
    return pd.DataFrame(rows)


def history_table(outcomes: Iterable[Outcome]) -> pd.DataFrame:
    """One row for each epoch of each run."""
    return pd.DataFrame(
        [{"run": outcome.variant.name, **epoch} for outcome in outcomes for epoch in outcome.history]
    )


def soft_label_table(logits: dict[str, np.ndarray], temperature: float) -> pd.DataFrame:
    """One row for each teacher and class: logit, probability at T = 1 and at T, rank, entropy of the teacher's row.

    Args:
        logits: teacher's title -> (7,).
        temperature: T.
    """
    rows = []
    for title, row in logits.items():
        once, soft = softened(row, 1.0), softened(row, temperature)
        ranks = np.argsort(np.argsort(-row, kind="stable")) + 1
        for i, code in enumerate(CODES):
            rows.append(
                {
                    "teacher": title,
                    "class": code,
                    "logit": float(row[i]),
                    "at T = 1": float(once[i]),
                    f"at T = {temperature:g}": float(soft[i]),
                    "rank": int(ranks[i]),
                    "entropy in nats": float(entropy(soft)),
                }
            )
    return pd.DataFrame(rows)


def loss_table(loss: Loss) -> pd.DataFrame:
    """One row for each part of one image's loss: value, weight, what it adds, and its gradient on each logit."""
    alpha = loss.alpha
    parts = (
        ("hard: cross-entropy with the label", loss.hard, 1 - alpha),
        ("soft: T² x KL(teacher, student)", loss.soft, alpha),
        ("total, alpha on the soft term (ours; the report's 4.2 and code)", loss.total, 1.0),
        ("total, alpha on the hard term (the report's 3.1 and 4.1)", loss.other_reading, 1.0),
        ("soft without T²", loss.bare, alpha),
        ("soft as the report's code has it: softmax twice, no T²", loss.reported, alpha),
        ("total as the report's code has it", loss.report, 1.0),
    )
    return pd.DataFrame(
        [
            {
                "part": name,
                "value": float(term.value),
                "weight": weight,
                "adds": float(term.value) * weight,
                "length of gradient": float(term.norm) * weight,
                **{code: float(g) * weight for code, g in zip(CODES, term.gradient, strict=True)},
            }
            for name, term, weight in parts
        ]
    )


def missing(cells: Cells, wanted: Sequence[Variant]) -> list[Variant]:
    """Those of the wanted runs that nobody made yet."""
    return [v for v in wanted if v.seed not in {run.variant.seed for run in of_cell(cells, v)}]
