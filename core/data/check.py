"""Is a dataset usable, and what is odd about it: every file read, decoded and compared."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.data.findings import Finding, merge
from core.data.ham10000 import Dataset
from core.data.inspection import Inspected, inspect_all
from core.lesions import CODES
from core.settings import MIN_SIDE

LEAST_LESIONS = 3
"""One lesion each for train, validation and test."""


@dataclass(frozen=True)
class Check:
    """The result of checking a dataset.

    Attributes:
        dataset: what was checked.
        decoded: how many images were read and decoded; all of them, unless a limit was given.
        sizes: (width, height) in pixels -> how many of the decoded images have it, the most frequent first.
        findings: those of opening and of checking, damage first.
    """

    dataset: Dataset
    decoded: int
    sizes: dict[tuple[int, int], int]
    findings: tuple[Finding, ...]

    @property
    def is_usable(self) -> bool:
        """Whether it can be trained and evaluated on."""
        return all(finding.severity != "damage" for finding in self.findings)


def check_dataset(dataset: Dataset, limit: int | None = None, workers: int | None = None) -> Check:
    """Decode the files of a dataset and compare them with each other and with its metadata.

    Args:
        dataset: opened with `strict=False`, so that its damage is a finding.
        limit: decode only so many images, spread evenly over the ids; everything else is still checked.
        workers: processes, by default one per core.
    """
    from tqdm import tqdm

    ids = _spread(list(dataset.records["image_id"]), limit)
    files = [(image_id, entry) for image_id in ids for entry in dataset.entries(image_id)]
    results = inspect_all(files, dataset.reader, workers)
    inspected = list(tqdm(results, "decoding", len(files), unit="file", leave=False, mininterval=0.5))
    first = {result.image_id: result for result in reversed(inspected)}
    sizes = Counter(result.size for result in first.values() if result.size is not None)
    findings = merge(
        [
            *dataset.findings,
            *_unreadable(inspected),
            *_small(first.values()),
            *_identical(first, dataset.records),
            *_different_copies(inspected),
            *_conflicts(dataset.records),
            *_classes(dataset.records),
        ]
    )
    return Check(dataset, len(ids), dict(sizes.most_common()), findings)


def _spread(ids: list[str], limit: int | None) -> list[str]:
    if limit is None or limit >= len(ids):
        return ids
    return [ids[i] for i in np.linspace(0, len(ids) - 1, limit).round().astype(int)]


def _unreadable(inspected: Sequence[Inspected]) -> list[Finding]:
    # An empty file is already a finding of opening.
    bad = [result for result in inspected if result.problem is not None and result.entry.size > 0]
    items = tuple(f"{result.image_id} ({result.problem})" for result in bad)
    text = f"{len(bad):,} image files cannot be read or decoded"
    return [Finding("unreadable_images", "damage", text, items)] if bad else []


def _small(inspected: Iterable[Inspected]) -> list[Finding]:
    small = [result.image_id for result in inspected if result.size and min(result.size) < MIN_SIDE]
    text = f"{len(small):,} images have a side below {MIN_SIDE} pixels"
    return [Finding("small_images", "warning", text, tuple(small))] if small else []


def _identical(first: dict[str, Inspected], records: pd.DataFrame) -> list[Finding]:
    """Groups of images with the same bytes: harmless within a lesion, a leak or a contradiction otherwise."""
    groups: dict[str, list[str]] = defaultdict(list)
    for image_id, result in first.items():
        if result.sha256 is not None and result.size is not None:
            groups[result.sha256].append(image_id)
    lesion = dict(zip(records["image_id"], records["lesion_id"], strict=True))
    label = dict(zip(records["image_id"], records["dx"], strict=True))
    found = []
    for group in groups.values():
        if len(group) < 2:
            continue
        item = (" = ".join(sorted(group)),)
        if len({label[image_id] for image_id in group}) > 1:
            text = "identical files have different diagnoses"
            found.append(Finding("identical_conflicting", "warning", text, item))
        elif len({lesion[image_id] for image_id in group}) > 1:
            text = "identical files count as different lesions, so that a split may part them"
            found.append(Finding("identical_across_lesions", "warning", text, item))
        else:
            found.append(Finding("identical", "note", "identical files, each time within one lesion", item))
    return found


def _different_copies(inspected: Sequence[Inspected]) -> list[Finding]:
    hashes: dict[str, set[str | None]] = defaultdict(set)
    for result in inspected:
        hashes[result.image_id].add(result.sha256)
    different = tuple(image_id for image_id, found in hashes.items() if len(found) > 1)
    text = f"{len(different):,} images have files of the same name that differ; only the first is read"
    return [Finding("different_copies", "warning", text, different)] if different else []


def _conflicts(records: pd.DataFrame) -> list[Finding]:
    labels = records.groupby("lesion_id")["dx"].unique()
    items = tuple(
        f"{lesion} ({' and '.join(sorted(codes))})" for lesion, codes in labels.items() if len(codes) > 1
    )
    text = f"{len(items):,} lesions have images with different diagnoses"
    return [Finding("conflicting_labels", "warning", text, items)] if items else []


def _classes(records: pd.DataFrame) -> list[Finding]:
    lesions = records.groupby("dx")["lesion_id"].nunique()
    absent = tuple(code for code in CODES if code not in lesions)
    few = tuple(code for code in CODES if 0 < lesions.get(code, 0) < LEAST_LESIONS)
    findings = []
    if absent:
        findings.append(Finding("absent_classes", "damage", "classes without any image", absent))
    if few:
        text = (
            f"classes of fewer than {LEAST_LESIONS} lesions cannot be split into train, validation and test"
        )
        findings.append(Finding("few_lesions", "warning", text, few))
    return findings
