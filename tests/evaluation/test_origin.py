"""Figures of photographs are neither measured on drawn lesions nor replaced by models of them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from core.__main__ import main
from core.artifacts import load_manifest, update_model
from core.data.ham10000 import open_dataset
from core.data.splits import assign
from core.data.synthetic import make_dataset
from core.errors import UserError
from core.evaluation.origin import DATA_NOTE, SYNTHETIC_NOTE, check_origin, check_place, drawn_sentence
from core.evaluation.predictions import Predictions
from core.lesions import INDEX


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("drawn") / "set", total=70, size=(64, 48), workers=1)


@pytest.fixture
def manifest(tmp_path: Path):
    for name, data in (("real", DATA_NOTE), ("drawn", SYNTHETIC_NOTE), ("silent", None)):
        (tmp_path / f"{name}.tflite").write_bytes(b"model")
        entry = {"title": name, "role": "student", "provenance": {"data": data} if data else {}}
        update_model(tmp_path, name, entry, {"litert": f"{name}.tflite"})
    return load_manifest(tmp_path)


@pytest.mark.parametrize("check", [check_origin, check_place])
def test_drawn_lesions_are_refused_for_a_model_of_photographs_alone(
    manifest, drawn, small_folder, check
) -> None:
    with pytest.raises(UserError, match="real: expected HAM10000"):
        check(manifest, "real", open_dataset(drawn))
    for name in ("drawn", "silent"):
        check(manifest, name, open_dataset(drawn))
    for name in manifest.models:
        check(manifest, name, open_dataset(small_folder))


def test_a_dataset_that_is_divided_otherwise_is_refused_for_what_was_evaluated(
    tmp_path, small_folder
) -> None:
    dataset = open_dataset(small_folder)
    records, parts = dataset.records, assign(dataset.records, "lesion")
    asked = records[parts != "train"]
    stored = Predictions(
        "real", asked["image_id"], asked["lesion_id"], asked["dx"].map(INDEX).to_numpy(),
        np.zeros((len(asked), 7)), parts[parts != "train"],
    )  # fmt: skip
    stored.save(tmp_path / "real.parquet")
    entry = {
        "title": "real",
        "role": "student",
        "provenance": {"data": DATA_NOTE},
        "recipe": {"split": "lesion"},
    }
    update_model(tmp_path, "real", entry, {"predictions": "real.parquet"})
    variant = {**entry, "role": "variant", "parent": "real", "recipe": None}
    manifest = update_model(tmp_path, "real-int8", variant)
    some = dataclasses.replace(dataset, records=records[records["lesion_id"] != asked["lesion_id"].iloc[0]])
    for name in manifest.models:
        check_origin(manifest, name, dataset)
        with pytest.raises(UserError, match=f"{name}: expected the dataset that it was evaluated on"):
            check_origin(manifest, name, some)


def test_damaged_answers_keep_nobody_from_making_them_again(manifest, small_folder) -> None:
    """The images are then known from what was made of the same weights, or not at all."""
    dataset, folder = open_dataset(small_folder), manifest.folder
    (folder / "real.parquet").write_bytes(b"answers")
    update_model(folder, "real", {"recipe": {"split": "lesion"}}, {"predictions": "real.parquet"})
    check_origin(load_manifest(folder), "real", dataset)
    few = Predictions("real-int8", ["ISIC_0000001"], ["HAM_1"], [0], np.zeros((1, 7)), ["test"])
    few.save(folder / "real-int8.parquet")
    entry = {"title": "real", "role": "variant", "parent": "real"}
    manifest = update_model(folder, "real-int8", entry, {"predictions": "real-int8.parquet"})
    with pytest.raises(UserError, match="real: expected the dataset that it was evaluated on, with 0 images"):
        check_origin(manifest, "real", dataset)


@pytest.mark.parametrize("command", ["fit", "report"])
def test_gates_are_of_the_lesion_split_alone(manifest, small_folder, monkeypatch, capsys, command) -> None:
    update_model(manifest.folder, "real", {"recipe": {"split": "report"}})
    monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(manifest.folder))
    monkeypatch.setenv("DERMDISTILL_DATA", str(small_folder))
    assert main(["gate", command, "--model", "real"]) == 2
    assert "found one of the report split" in capsys.readouterr().err


def test_a_folder_of_pictures_that_is_none_is_said_before_anything_is_measured(tmp_path, capsys) -> None:
    assert main(["gate", "report", "--photographs", str(tmp_path / "typo")]) == 2
    assert "expected a folder of pictures, found none at" in capsys.readouterr().err


def test_a_new_name_or_a_new_folder_is_free(manifest, drawn) -> None:
    check_place(manifest, "new", open_dataset(drawn))
    check_place(None, "real", open_dataset(drawn))


@pytest.fixture
def class_folders(small_set, tmp_path: Path) -> Path:
    """Photographs in a folder for each class, and nothing that says which of them are of one lesion."""
    for image_id, data in small_set.images.items():
        place = tmp_path / "folders" / small_set.label(image_id)
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{image_id}.jpg").write_bytes(data)
    return tmp_path / "folders"


@pytest.mark.parametrize(
    ("at_hand", "found"), [("drawn", "expected HAM10000"), ("class_folders", "found class folders alone")]
)
@pytest.mark.parametrize(
    "command",
    [
        ["turned", "--model", "real"],
        ["project", "--model", "real"],
        ["gate", "fit", "--model", "real"],
        ["gate", "report", "--model", "real"],
        ["evaluate", "--model", "real", "--again"],
        ["leak", "--save"],
        ["compress", "--model", "drawn", "--model", "real", "--kind", "float16"],
        ["train", "--network", "mobilenetv2", "--name", "real"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_every_command_that_stores_refuses(
    command, at_hand, found, manifest, tmp_path, monkeypatch, capsys, request
) -> None:
    """Drawn lesions, and photographs of unknown lesions: training images would lie among the test images of these."""
    monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(manifest.folder))
    monkeypatch.setenv("DERMDISTILL_DATA", str(request.getfixturevalue(at_hand)))
    for name in ("CACHE", "RUNS"):
        monkeypatch.setenv(f"DERMDISTILL_{name}", str(tmp_path / name.lower()))
    before = (manifest.folder / "manifest.json").read_bytes()
    assert main(command) == 2
    assert found in capsys.readouterr().err
    assert (manifest.folder / "manifest.json").read_bytes() == before


def test_a_model_that_does_not_say_its_origin_is_measured_on_class_folders(manifest, class_folders) -> None:
    for name in ("drawn", "silent"):
        check_origin(manifest, name, open_dataset(class_folders))


def test_tables_say_which_models_are_of_drawn_lesions(manifest, monkeypatch, capsys) -> None:
    said = f"Made from and measured on {SYNTHETIC_NOTE}: drawn."
    assert drawn_sentence(manifest) == said
    assert drawn_sentence(dataclasses.replace(manifest, models={"real": manifest.models["real"]})) == ""
    of_photographs = f"Made from {SYNTHETIC_NOTE}, measured on photographs: drawn."
    for image_id, expected in (("SYN_0000001", said), ("ISIC_0000001", of_photographs)):
        asked = Predictions("drawn", [image_id], ["1"], [0], np.zeros((1, 7)), ["test"])
        asked.save(manifest.folder / "drawn.parquet")
        files = {"predictions": "drawn.parquet"}
        assert drawn_sentence(update_model(manifest.folder, "drawn", {}, files)) == expected
    update_model(manifest.folder, "drawn", {}, {"predictions": None})
    monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(manifest.folder))
    monkeypatch.setenv(
        "DERMDISTILL_DATA", str(manifest.folder / "none")
    )  # else it asks the files, which are none
    for arguments in (["models"], ["models", "--markdown"], ["evaluate"]):
        main(arguments)
        printed = capsys.readouterr()
        assert said in printed.out + printed.err, arguments
    main(["models", "--json"])
    assert {row["name"]: row["data"] for row in json.loads(capsys.readouterr().out)}[
        "drawn"
    ] == SYNTHETIC_NOTE
