from __future__ import annotations

import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.data import files
from core.data.findings import DamagedDatasetError, DatasetError
from core.data.ham10000 import open_dataset
from core.lesions import CODES
from core.settings import ROOT


def flat(small, folder):
    return small.write_flat(folder, images="")


def flat_with_images_folder(small, folder):
    return small.write_flat(folder, images="images")


def kaggle(small, folder):
    for number, part in enumerate(small.halves(), 1):
        (folder / f"HAM10000_images_part_{number}").mkdir(parents=True)
        for image_id, data in part.items():
            (folder / f"HAM10000_images_part_{number}" / f"{image_id}.jpg").write_bytes(data)
    (folder / "HAM10000_metadata.csv").write_text(small.csv())
    return folder


def kaggle_archive(small, folder):
    """Kaggle's zip has every image twice, under folders that differ in case, and tables of pixels."""
    members = {"HAM10000_metadata.csv": small.csv(), "hmnist_8_8_L.csv": "pixel0000,label\n1,2\n"}
    for number, part in enumerate(small.halves(), 1):
        for name in ("HAM10000_images_part_", "ham10000_images_part_"):
            members |= {f"{name}{number}/{image_id}.jpg": data for image_id, data in part.items()}
    folder.mkdir()
    small.write_zip(folder / "archive.zip", members)
    return folder


def kaggle_archive_itself(small, folder):
    return kaggle_archive(small, folder) / "archive.zip"


def dataverse(small, folder, metadata="HAM10000_metadata", separator=","):
    """Zips without folders inside, a table with one more column, masks and the challenge's test images."""
    folder.mkdir()
    for number, part in enumerate(small.halves(), 1):
        members = {f"{image_id}.jpg": data for image_id, data in part.items()}
        small.write_zip(folder / f"HAM10000_images_part_{number}.zip", members)
    rows = small.rows.assign(dataset="vidir_modern")
    (folder / metadata).write_text(rows.to_csv(index=False, sep=separator, quoting=2))
    masks = {f"HAM10000_segmentations/{image_id}_segmentation.png": b"x" for image_id in small.images}
    small.write_zip(folder / "HAM10000_segmentations_lesion_tschandl.zip", masks)
    small.write_zip(folder / "ISIC2018_Task3_Test_Images.zip", {"ISIC_0034524.jpg": b"x"})
    (folder / "ISIC2018_Task3_Test_GroundTruth.csv").write_text("image_id,lesion_id,dx\nISIC_0034524,1,nv\n")
    return folder


def dataverse_tab(small, folder):
    return dataverse(small, folder, "HAM10000_metadata.tab", "\t")


def dataverse_tab_and_original(small, folder):
    dataverse(small, folder, "HAM10000_metadata.tab", "\t")
    (folder / "HAM10000_metadata.csv").write_text(small.csv())
    return folder


def flat_zip(small, folder):
    folder.mkdir()
    members = {f"HAM10000/{image_id}.jpg": data for image_id, data in small.images.items()}
    small.write_zip(folder / "images.ZIP", members | {"__MACOSX/._ISIC_0000000.jpg": b"junk"})
    (folder / "metadata.csv").write_text(small.csv())
    return folder


def class_folders_with_metadata(small, folder):
    class_folders(small, folder)
    (folder / "HAM10000_metadata.csv").write_text(small.csv())
    return folder


def class_folders(small, folder):
    for number, (image_id, data) in enumerate(small.images.items()):
        place = folder / ("train", "test")[number % 2] / small.label(image_id).upper()
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{image_id}.jpg").write_bytes(data)
    return folder


def capitals_and_jpeg(small, folder):
    small.write_flat(folder)
    for number, path in enumerate(sorted((folder / "images").iterdir())):
        path.rename(path.with_suffix((".JPG", ".jpeg", ".Jpg", ".PNG", ".jpg")[number % 5]))
    return folder


def linked(small, folder):
    small.write_flat(folder.with_name("elsewhere"))
    folder.mkdir()
    (folder / "pictures").symlink_to(folder.with_name("elsewhere") / "images")
    (folder / "loop").symlink_to(folder)
    shutil.copy(folder.with_name("elsewhere") / "HAM10000_metadata.csv", folder)
    return folder


COLUMNS = ("image_id", "lesion_id", "dx", "dx_type", "age", "sex", "localization")
LAYOUTS = [
    (flat, "flat folder"),
    (flat_with_images_folder, "flat folder"),
    (kaggle, "image parts"),
    (kaggle_archive, "image parts, zipped"),
    (kaggle_archive_itself, "image parts, zipped"),
    (dataverse, "image parts, zipped"),
    (dataverse_tab, "image parts, zipped"),
    (dataverse_tab_and_original, "image parts, zipped"),
    (flat_zip, "flat folder, zipped"),
    (class_folders_with_metadata, "class folders"),
    (capitals_and_jpeg, "flat folder"),
    (linked, "flat folder"),
]


@pytest.mark.parametrize(("write", "layout"), LAYOUTS, ids=lambda value: getattr(value, "__name__", None))
def test_every_layout_gives_the_same_records_and_bytes(write, layout, small_set, tmp_path):
    dataset = open_dataset(write(small_set, tmp_path / "data"))
    assert dataset.layout == layout
    assert tuple(dataset.records.columns) == COLUMNS
    expected = small_set.rows.assign(age=pd.to_numeric(small_set.rows["age"]))
    pd.testing.assert_frame_equal(dataset.records, expected[list(dataset.records)], check_dtype=False)
    assert dataset.records["age"].dtype == np.float64
    assert dataset.records["age"].isna().sum() == len(CODES)
    for image_id, data in small_set.images.items():
        assert dataset.read_bytes(image_id) == data
    assert not [finding for finding in dataset.findings if finding.severity != "note"]
    assert not dataset.is_synthetic


def test_class_folders_without_metadata_take_labels_from_names(small_set, tmp_path):
    dataset = open_dataset(class_folders(small_set, tmp_path / "data"))
    assert dataset.layout == "class folders"
    assert dataset.metadata is None
    assert dict(zip(dataset.records["image_id"], dataset.records["dx"], strict=True)) == {
        image_id: small_set.label(image_id) for image_id in small_set.images
    }
    assert (dataset.records["lesion_id"] == dataset.records["image_id"]).all()
    assert dataset.records["age"].isna().all()
    assert dataset.records["image_id"].is_monotonic_increasing
    assert [finding.kind for finding in dataset.findings] == ["no_metadata"]


def test_default_is_the_environment_variable(small_folder, monkeypatch):
    monkeypatch.setenv("DERMDISTILL_DATA", str(small_folder))
    assert open_dataset().root == small_folder


@pytest.mark.parametrize("write", [kaggle_archive, dataverse, flat])
def test_reads_on_after_pickling_and_forking(write, small_set, tmp_path):
    dataset = open_dataset(write(small_set, tmp_path / "data"))
    first = next(iter(small_set.images))
    dataset.read_bytes(first)
    again = pickle.loads(pickle.dumps(dataset))
    assert again.read_bytes(first) == small_set.images[first]
    script = (
        "import os, sys, multiprocessing; from core.data.ham10000 import open_dataset\n"
        "dataset = open_dataset(sys.argv[1]); ids = list(dataset.records['image_id'])\n"
        "alone = [dataset.read_bytes(i) for i in ids] * 5\n"
        "opened = [archive.fp.fileno() for archive in dataset.reader._archives.values()]\n"
        "for number in opened: os.lseek(number, 0, os.SEEK_SET)\n"
        "def read(image_id): return dataset.read_bytes(image_id)\n"  # by name: a method would be pickled
        "pool = multiprocessing.get_context('fork').Pool(3)\n"
        "assert pool.map(read, ids * 5, chunksize=7) == alone\n"
        "pool.close(); pool.join()\n"
        "moved = [number for number in opened if os.lseek(number, 0, os.SEEK_CUR)]\n"
        "assert not moved, 'a child read from its parent\\'s open zip'"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "data")], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


# One level too high or too low


@pytest.mark.parametrize("write", [flat_with_images_folder, kaggle, dataverse, class_folders_with_metadata])
def test_a_folder_too_high_is_descended_and_said(write, small_set, tmp_path):
    folder = write(
        small_set, tmp_path / "downloads" / "HAM10000" if write is not dataverse else tmp_path / "x"
    )
    dataset = open_dataset(folder.parent)
    assert dataset.root == folder
    assert [finding.kind for finding in dataset.findings if finding.kind != "copies"] == ["other_root"]
    assert str(folder) in dataset.findings[0].text
    assert len(dataset) == len(small_set.images)


@pytest.mark.parametrize(
    ("write", "part"),
    [
        (flat_with_images_folder, "images"),
        (kaggle, "HAM10000_images_part_2"),
        (dataverse, "HAM10000_images_part_1.zip"),
        (class_folders, "train/NV"),
    ],
)
def test_a_folder_too_low_is_ascended_and_said(write, part, small_set, tmp_path):
    folder = write(small_set, tmp_path / "data")
    if write is class_folders:
        folder = folder / "train"
    dataset = open_dataset(tmp_path / "data" / part)
    assert dataset.root == folder
    assert "other_root" in [finding.kind for finding in dataset.findings]
    assert set(dataset.records["dx"]) == set(CODES)


def test_a_parent_without_metadata_is_not_searched(small_set, tmp_path):
    small_set.write_flat(tmp_path / "other")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "ISIC_0000000.jpg").write_bytes(b"x")
    with pytest.raises(DatasetError, match="1 images and neither metadata nor class folders"):
        open_dataset(tmp_path / "pictures")


# What is no dataset


def nothing(small, folder):
    return folder


def empty(small, folder):
    folder.mkdir()
    return folder


def a_file(small, folder):
    folder.write_text("HAM10000")
    return folder


def images_only(small, folder):
    small.write_flat(folder)
    (folder / "HAM10000_metadata.csv").unlink()
    return folder


def metadata_only(small, folder):
    small.write_flat(folder)
    shutil.rmtree(folder / "images")
    return folder


def foreign_images(small, folder):
    metadata_only(small, folder)
    (folder / "cat.jpg").write_bytes(b"x")
    return folder


def other_table(small, folder):
    small.write_flat(folder)
    (folder / "HAM10000_metadata.csv").write_text("isic_id,diagnosis\nISIC_0000000,nevus\n")
    return folder


def only_header(small, folder):
    small.write_flat(folder)
    (folder / "HAM10000_metadata.csv").write_text(small.csv().splitlines()[0])
    return folder


def empty_table(small, folder):
    small.write_flat(folder)
    (folder / "HAM10000_metadata.csv").write_bytes(b"")
    return folder


def binary_table(small, folder):
    small.write_flat(folder)
    (folder / "HAM10000_metadata.csv").write_bytes(bytes(range(128, 256)) * 9)
    return folder


def ragged_table(small, folder):
    small.write_flat(folder)
    (folder / "HAM10000_metadata.csv").write_text('lesion_id,image_id,dx\n"a,b\nc,d,e')
    return folder


def long_quotation(small, folder):
    small.write_flat(folder)
    (folder / "HAM10000_metadata.csv").write_text('lesion_id,image_id,dx\n"a,b,c\n' + "d,e,f\n" * 30_000)
    return folder


def decimal_commas(small, folder):
    small.write_flat(folder)
    (folder / "HAM10000_metadata.csv").write_text(small.csv().replace(".0,", ",0,"))
    return folder


def one_column_twice(small, folder):
    small.write_flat(folder)
    (folder / "HAM10000_metadata.csv").write_text(small.csv().replace("localization", " Sex", 1))
    return folder


def two_datasets(small, folder):
    small.write_flat(folder / "one")
    small.write_flat(folder / "two")
    text = (folder / "two" / "HAM10000_metadata.csv").read_text()
    (folder / "two" / "HAM10000_metadata.csv").write_text(text.replace(",nv,", ",mel,"))
    return folder


def nested_zip(small, folder):
    inner = dataverse(small, folder.with_name("inner"))
    folder.mkdir()
    members = {path.name: path.read_bytes() for path in inner.iterdir()}
    small.write_zip(folder / "dataverse_files.zip", members)
    return folder


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (nothing, "found nothing at"),
        (empty, "found an empty folder at"),
        (a_file, "found a file that is no zip at"),
        (images_only, "84 images and neither metadata nor class folders among 84 files"),
        (metadata_only, "0 images and the metadata"),
        (foreign_images, "none belongs to the other"),
        (other_table, "found isic_id, diagnosis; image_id, lesion_id, dx cannot be done without"),
        (only_header, "found only the header"),
        (empty_table, "which is none"),
        (binary_table, "which is none"),
        (ragged_table, "which is none"),
        (long_quotation, "which is none"),
        (decimal_commas, "found 8 in line 2: 'HAM_0000000,ISIC_0000000,akiec,histo,0,0,male,back'"),
        (one_column_twice, "expected one column sex in "),
        (two_datasets, "found 2 that differ"),
        (nested_zip, "unpack the outer one once"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_wrong_folders_are_refused_in_one_line(write, says, small_set, tmp_path):
    folder = write(small_set, tmp_path / "data")
    with pytest.raises(DatasetError, match="expected") as caught:
        open_dataset(folder)
    assert caught.value.exit_status == 2
    assert says in str(caught.value)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_folder_says_what_was_expected_and_how_to_get_it(tmp_path):
    with pytest.raises(DatasetError) as caught:
        open_dataset(tmp_path)
    for part in ("HAM10000_metadata.csv", "DERMDISTILL_DATA", "python -m core data download"):
        assert part in str(caught.value)


def test_a_home_folder_is_not_searched_for_ever(small_folder, monkeypatch):
    monkeypatch.setattr(files, "MAX_FILES", 50)
    with pytest.raises(DatasetError, match="more than 50 files"):
        open_dataset(small_folder)


@pytest.mark.parametrize(("forbidden", "error"), [("", DatasetError), ("images", DamagedDatasetError)])
def test_a_folder_without_permission_is_named(forbidden, error, small_folder, monkeypatch):
    place = small_folder / forbidden
    scandir = os.scandir

    def refuse(path):
        if Path(path) == place:
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DatasetError, match="Permission denied") as caught:
        open_dataset(small_folder)
    assert type(caught.value) is error
    assert str(place) in str(caught.value)


# What is a dataset, but damaged


def edit(old: str, new: str):
    def change(small, folder):
        path = folder / "HAM10000_metadata.csv"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return change


def append(line: str):
    def change(small, folder):
        with (folder / "HAM10000_metadata.csv").open("a") as file:
            file.write(line + "\n")

    return change


def delete_image(small, folder):
    (folder / "images" / "ISIC_0000003.jpg").unlink()


def empty_image(small, folder):
    (folder / "images" / "ISIC_0000003.jpg").write_bytes(b"")


def truncated_zip(small, folder):
    path = small.write_zip(folder / "HAM10000_images_part_2.zip", {"ISIC_0000003.jpg": b"x" * 1000})
    path.write_bytes(path.read_bytes()[:-30])


def zip_with_a_torn_name(small, folder):
    path = small.write_zip(
        folder / "HAM10000_images_part_2.zip", {"ISIC_000000\N{LATIN SMALL LETTER E WITH ACUTE}.jpg": b"x"}
    )
    path.write_bytes(path.read_bytes().replace("\N{LATIN SMALL LETTER E WITH ACUTE}".encode(), b"\xc3\xff"))


def wrong_class_folder(small, folder):
    (folder / "images" / "mel").mkdir()
    path = folder / "images" / "ISIC_0000003.jpg"
    path.rename(folder / "images" / "mel" / path.name)


@pytest.mark.parametrize(
    ("change", "kind", "item"),
    [
        (delete_image, "missing_files", "ISIC_0000003"),
        (empty_image, "empty_files", "ISIC_0000003"),
        (truncated_zip, "unreadable_zip", "HAM10000_images_part_2.zip"),
        (zip_with_a_torn_name, "unreadable_zip", "HAM10000_images_part_2.zip"),
        (wrong_class_folder, "folder_conflicts", "ISIC_0000003"),
        (append("HAM_1,ISIC_9999999,nv,histo,40,male,back"), "missing_files", "ISIC_9999999"),
        (append("HAM_1,ISIC_0000003,nv,histo,40,male,back"), "duplicate_ids", "ISIC_0000003"),
        (append("HAM_1,isic_0000003,nv,histo,40,male,back"), "duplicate_ids", "ISIC_0000003"),
        (append(",ISIC_0000003,nv,histo,40,male,back"), "blank_ids", "ISIC_0000003"),
        (edit("HAM_0000002,ISIC_", "NA,ISIC_"), "blank_ids", "ISIC_0000004"),
        (edit("HAM_0000002,ISIC_", "NaN,ISIC_"), "blank_ids", "ISIC_0000004"),
        (edit("HAM_0000002,ISIC_", "unknown,ISIC_"), "blank_ids", "ISIC_0000004"),
        (edit(",bcc,", ",scc,"), "unknown_dx", "scc"),
    ],
)
def test_damage_is_found_and_refused(change, kind, item, small_set, small_folder):
    change(small_set, small_folder)
    dataset = open_dataset(small_folder, strict=False)
    damage = [finding for finding in dataset.findings if finding.severity == "damage"]
    assert [finding.kind for finding in damage] == [kind]
    assert any(item in name for name in damage[0].items)
    with pytest.raises(DamagedDatasetError, match="data check") as caught:
        open_dataset(small_folder)
    assert caught.value.exit_status == 3
    assert item in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_image_is_named(small_folder):
    with pytest.raises(DatasetError, match="ISIC_7777777"):
        open_dataset(small_folder).read_bytes("ISIC_7777777")


def test_a_file_that_vanished_is_named(small_folder):
    dataset = open_dataset(small_folder)
    (small_folder / "images" / "ISIC_0000003.jpg").unlink()
    with pytest.raises(DatasetError, match=r"ISIC_0000003\.jpg \(No such file"):
        dataset.read_bytes("ISIC_0000003")


def test_a_member_with_a_wrong_checksum_is_named(small_set, tmp_path):
    folder = flat_zip(small_set, tmp_path / "data")
    dataset = open_dataset(folder)
    archive = folder / "images.ZIP"
    data = bytearray(archive.read_bytes())
    data[200:260] = bytes(60)  # inside the first member
    archive.write_bytes(data)
    with pytest.raises(DatasetError, match="ISIC_0000000"):
        dataset.read_bytes("ISIC_0000000")


# What is odd, but no damage


def test_members_that_lead_out_of_a_zip_are_never_read(small_set, tmp_path):
    folder = small_set.write_flat(tmp_path / "data")
    names = ["../ISIC_1.jpg", "/etc/ISIC_2.jpg", "a/../../ISIC_3.jpg", "..\\ISIC_4.jpg"]
    small_set.write_zip(folder / "evil.zip", dict.fromkeys(names, b"x"))
    dataset = open_dataset(folder)
    (finding,) = dataset.findings
    assert (finding.kind, finding.severity, len(finding.items)) == ("refused_file", "warning", 4)
    assert len(dataset) == len(small_set.images)


def test_a_file_of_absurd_size_is_never_read(small_set, small_folder, monkeypatch):
    monkeypatch.setattr(files, "MAX_IMAGE_BYTES", 20_000)
    small_set.write_zip(small_folder / "bomb.zip", {"ISIC_1.jpg": bytes(30_000)})
    (finding,) = open_dataset(small_folder).findings
    assert finding.kind == "refused_file"


def test_images_without_metadata_are_left_out_and_said(small_set, small_folder):
    (small_folder / "images" / "ISIC_1111111.jpg").write_bytes(small_set.images["ISIC_0000000"])
    dataset = open_dataset(small_folder)
    (finding,) = dataset.findings
    assert (finding.kind, finding.severity, finding.items) == (
        "no_metadata_row",
        "warning",
        ("ISIC_1111111",),
    )
    assert "ISIC_1111111" not in set(dataset.records["image_id"])


def test_synthetic_lesions_are_told_apart(tmp_path):
    from core.data.synthetic import make_dataset

    dataset = open_dataset(make_dataset(tmp_path / "drawn", per_class=1, seed=3, size=(96, 72)))
    assert dataset.is_synthetic
    assert len(dataset) == len(CODES)


METADATA = "HAM10000_metadata.csv"


REWRITES = {
    "byte order mark": lambda text: text.encode("utf-8-sig"),
    "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "both": lambda text: text.replace("\n", "\r\n").encode("utf-8-sig"),
    "UTF-16": lambda text: text.encode("utf-16"),
    "semicolons": lambda text: text.replace(",", ";").replace(".0;", ",0;").encode(),
    "tabs": lambda text: text.replace(",", "\t").encode(),
    "capitals": lambda text: text.upper().encode(),
    "spaces": lambda text: text.replace(",nv,", ", NV ,").replace(",ISIC_", ", ISIC_").encode(),
    "suffixes": lambda text: re.sub(r"(ISIC_\d+)", r"\1.jpg", text).encode(),
    "a repeated row": lambda text: (text + text.splitlines()[5] + "\n").encode(),
    "a comma too many": lambda text: text.replace("\n", ",\n").encode(),
    "an empty line": lambda text: (text + "\n\n").encode(),
}


@pytest.mark.parametrize("rewrite", REWRITES.values(), ids=REWRITES)
def test_metadata_as_programs_write_it(rewrite, small_set, small_folder):
    path = small_folder / METADATA
    path.write_bytes(rewrite(path.read_text()))
    dataset = open_dataset(small_folder)
    expected = small_set.rows.assign(age=pd.to_numeric(small_set.rows["age"]))
    pd.testing.assert_frame_equal(dataset.records, expected[list(COLUMNS)], check_dtype=False)


def test_a_table_of_another_name_is_known_by_its_columns(small_set, small_folder):
    (small_folder / METADATA).unlink()
    rows = small_set.rows[["image_id", "dx", "lesion_id", "dx_type", "age", "sex", "localization"]]
    rows.to_csv(small_folder / "labels.csv", index=False, encoding="utf-8-sig")
    (small_folder / "notes.txt").write_text("image_id of what?\n")
    dataset = open_dataset(small_folder)
    assert dataset.metadata.name == "labels.csv"
    assert len(dataset) == len(small_set.images)


def test_optional_columns_may_be_missing(small_set, small_folder):
    small_set.rows[["dx", "image_id", "lesion_id"]].to_csv(small_folder / METADATA, index=False)
    dataset = open_dataset(small_folder)
    (finding,) = dataset.findings
    assert (finding.kind, finding.items) == ("missing_columns", ("age", "dx_type", "localization", "sex"))
    assert dataset.records["age"].isna().all()
    assert set(dataset.records["sex"]) == {"unknown"}


def test_a_table_without_lesions_is_refused(small_set, small_folder):
    small_set.rows[["dx", "image_id"]].to_csv(small_folder / METADATA, index=False)
    with pytest.raises(DatasetError, match="lesion_id cannot be done without"):
        open_dataset(small_folder)


def test_ages_that_are_none_count_as_unknown(small_set, small_folder):
    rows = small_set.rows.copy()
    rows.loc[:3, "age"] = ["old", "-5", "900", "NA"]
    rows.to_csv(small_folder / METADATA, index=False)
    dataset = open_dataset(small_folder)
    (finding,) = dataset.findings
    assert (finding.kind, finding.items) == ("odd_ages", tuple(rows["image_id"][:3]))
    assert dataset.records["age"][:4].isna().all()


@pytest.mark.ham10000
def test_the_real_dataset(ham10000):
    records = ham10000.records
    assert len(records) == 10_015
    assert records["lesion_id"].nunique() == 7_470
    assert (records.groupby("lesion_id").size() > 1).sum() == 1_956
    assert records["dx"].value_counts().to_dict() == {
        "nv": 6705, "mel": 1113, "bkl": 1099, "bcc": 514, "akiec": 327, "vasc": 142, "df": 115,
    }  # fmt: skip
    assert records["age"].isna().sum() == 57
    assert ham10000.read_bytes("ISIC_0024306")[:2] == b"\xff\xd8"
