from __future__ import annotations

import shutil
from collections import Counter

import pytest

from core.data import inspection
from core.data.check import check_dataset
from core.data.ham10000 import open_dataset


def check(folder, **options):
    return check_dataset(open_dataset(folder, strict=False), **options)


def image(folder, number):
    return folder / "images" / f"ISIC_{number:07d}.jpg"


def relabel(folder, old, new):
    path = folder / "HAM10000_metadata.csv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_whole_dataset_has_no_findings(small_folder, small_set):
    result = check(small_folder)
    assert result.is_usable
    assert result.findings == ()
    assert result.decoded == len(small_set.images)
    assert result.sizes == {(96, 72): len(small_set.images)}


# Image 0 and 1 are of one lesion, 2 and 3 of the next, 4 of a third; all of the first class, akiec.


def copy_within_lesion(folder):
    shutil.copy(image(folder, 0), image(folder, 1))


def copy_across_lesions(folder):
    shutil.copy(image(folder, 0), image(folder, 4))


def copy_across_classes(folder):
    shutil.copy(image(folder, 0), image(folder, 80))


def truncate(folder):
    image(folder, 4).write_bytes(image(folder, 4).read_bytes()[:-100])


def text_file(folder):
    image(folder, 4).write_text("<html>Please log in</html>")


def header_only(folder):
    image(folder, 4).write_bytes(image(folder, 4).read_bytes()[:20])


def empty(folder):
    image(folder, 4).write_bytes(b"")


def two_labels(folder):
    relabel(folder, "ISIC_0000001,akiec", "ISIC_0000001,mel")


def class_gone(folder):
    relabel(folder, ",df,", ",nv,")


def few_lesions(folder):
    lines = (folder / "HAM10000_metadata.csv").read_text().splitlines()
    df = [line for line in lines if ",df," in line]
    (folder / "HAM10000_metadata.csv").write_text("\n".join(line for line in lines if line not in df[4:]))
    for line in df[4:]:
        (folder / "images" / f"{line.split(',')[1]}.jpg").unlink()


def other_copy(folder):
    (folder / "small").mkdir()
    shutil.copy(image(folder, 4), folder / "small" / "ISIC_0000000.jpg")


@pytest.mark.parametrize(
    ("change", "kinds", "item"),
    [
        (copy_within_lesion, {"identical": "note"}, "ISIC_0000000 = ISIC_0000001"),
        (copy_across_lesions, {"identical_across_lesions": "warning"}, "ISIC_0000000 = ISIC_0000004"),
        (copy_across_classes, {"identical_conflicting": "warning"}, "ISIC_0000000 = ISIC_0000080"),
        (truncate, {"unreadable_images": "damage"}, "ISIC_0000004 (image file is truncated"),
        (text_file, {"unreadable_images": "damage"}, "ISIC_0000004 (no image)"),
        (header_only, {"unreadable_images": "damage"}, "ISIC_0000004 ("),
        (empty, {"empty_files": "damage"}, "ISIC_0000004"),
        (two_labels, {"conflicting_labels": "warning"}, "HAM_0000000 (akiec and mel)"),
        (class_gone, {"absent_classes": "damage"}, "df"),
        (few_lesions, {"few_lesions": "warning"}, "df"),
        (other_copy, {"different_copies": "warning", "copies": "note"}, "ISIC_0000000"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_is_wrong_is_found(change, kinds, item, small_folder):
    change(small_folder)
    result = check(small_folder)
    assert {finding.kind: finding.severity for finding in result.findings} == kinds
    assert result.findings[0].items[0].startswith(item)
    assert result.is_usable == ("damage" not in kinds.values())


def test_unreadable_files_are_not_called_identical(small_folder):
    for number in (0, 4):
        image(small_folder, number).write_bytes(b"not an image")
    assert [finding.kind for finding in check(small_folder).findings] == ["unreadable_images"]


def test_small_images_are_said(small_folder, monkeypatch):
    monkeypatch.setattr("core.data.check.MIN_SIDE", 80)
    (finding,) = check(small_folder).findings
    assert finding.kind == "small_images"
    assert finding.severity == "warning"


@pytest.mark.parametrize("limit", [1, 10, 84, 1000])
def test_a_limit_decodes_only_so_many_spread_over_the_set(limit, small_folder, monkeypatch):
    read = Counter()
    inspect = inspection.inspect

    def count(reader, image_id, entry):
        read[image_id] += 1
        return inspect(reader, image_id, entry)

    monkeypatch.setattr(inspection, "inspect", count)
    result = check(small_folder, limit=limit)
    expected = min(limit, 84)
    assert result.decoded == len(read) == sum(result.sizes.values()) == expected
    assert max(read.values()) == 1
    if limit == 10:
        assert {"ISIC_0000000", "ISIC_0000083"} <= set(read)


def test_damage_outside_the_limit_is_found_where_it_needs_no_decoding(small_folder):
    image(small_folder, 50).unlink()
    assert not check(small_folder, limit=1).is_usable


def test_worker_processes_find_the_same(small_folder, monkeypatch):
    truncate(small_folder)
    copy_within_lesion(small_folder)
    alone = check(small_folder)
    monkeypatch.setattr(inspection, "FEW", 0)
    together = check(small_folder, workers=2)
    assert together.findings == alone.findings
    assert together.sizes == alone.sizes
    assert [finding.kind for finding in alone.findings] == ["unreadable_images", "identical"]


@pytest.mark.ham10000
@pytest.mark.slow
def test_the_real_dataset_is_usable(ham10000):
    result = check_dataset(ham10000)
    assert result.is_usable
    assert sum(result.sizes.values()) == 10_015
    identical = next(finding for finding in result.findings if finding.kind == "identical")
    assert identical.items == ("ISIC_0024366 = ISIC_0029861", "ISIC_0024777 = ISIC_0029938")
    assert all(finding.severity == "note" for finding in result.findings)
