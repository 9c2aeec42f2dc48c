"""Model cards: everything from the manifest, nothing left out silently."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.artifacts import ArtifactError, ModelEntry, load_manifest, update_model
from core.evaluation.cards import cohort_gaps, make_card, to_markdown

TITLES = {
    "Intended use", "Model", "Data and provenance", "Recipe", "Measured figures on test", "Class by class on test",
    "Gaps between cohorts on test", "What it was not made for", "Limits", "Licence", "Files",
}  # fmt: skip

ON_TEST = {"sensitivity": {"value": 0.917, "low": 0.885, "high": 0.947}}


def cohort(group: str, value: float | None, *, thin: bool = False, dimension: str = "sex") -> dict:
    return {"dimension": dimension, "group": group, "thin": thin, "accuracy": {"value": value}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "s.tflite").write_bytes(b"model")
    figures = {
        "split": "lesion",
        "test": {
            "n_images": 2012,
            "n_lesions": 1494,
            "accuracy": {"value": 0.8123, "low": 0.7, "high": 0.9},
            "macro_auc": {"value": 0.9584, "low": 0.9491, "high": 0.967},
            "classes": {"mel": {"n_images": 223, "sensitivity": {"value": 0.5, "low": 0.4, "high": 0.6}}},
            "majority": {"class": "nv", "share": 0.666},
            "collapsed": True,
        },
        "cohorts": [cohort("male", 0.8), cohort("female", 0.7), cohort("unknown", 0.1, thin=True)],
    }
    entry = ModelEntry(
        "student",
        "A *bold* <b>title</b>",
        "student",
        recipe={"seed": 1, "stages": [{"epochs": 3, "size": 128}], "balance": None},
        provenance={"data": "HAM10000", "licence": "CC BY-NC 4.0"},
        parameters=2919495,
        figures=figures,
        operating_point={"malignancy_threshold": 0.2, "validation_sensitivity": 0.951, "test": ON_TEST},
    )
    update_model(tmp_path, "student", entry, {"litert": "s.tflite"})
    update_model(tmp_path, "bare", ModelEntry("bare", "Bare", "variant"))
    return tmp_path


def value(section, what: str) -> str:
    return section.table.set_index("what").loc[what, "value"]


def test_a_card_has_every_section_from_the_manifest(folder: Path) -> None:
    manifest = load_manifest(folder)
    card = make_card(manifest, "student")
    assert {section.title for section in card.sections} == TITLES
    assert value(card.section("Model"), "parameters") == "2,919,495"
    assert value(card.section("Recipe"), "stages") == "3 epochs at 128 px"
    assert "2,012 images of 1,494 lesions" in " ".join(card.section("Data and provenance").paragraphs)
    assert card.section("Licence").paragraphs == ("CC BY-NC 4.0",)
    assert card.section("Files").table.iloc[0]["sha256"] == manifest.files["s.tflite"].sha256
    figures = card.section("Measured figures on test")
    assert figures.table.iloc[0].tolist() == ["Accuracy", "81.2%", "70.0 to 90.0"]
    assert figures.table.iloc[1].tolist() == ["Balanced accuracy", "not measured", ""]
    area = figures.table.set_index("figure").loc["Macro AUC"]
    assert area.tolist() == ["0.958", "0.949 to 0.967"], "an area is no share"
    assert "Always answering “Melanocytic nevus” would reach an accuracy of 66.6%." in figures.paragraphs
    assert any("Collapsed" in text for text in figures.paragraphs)


def test_a_card_says_what_was_not_measured_and_by_which_command(folder: Path) -> None:
    card = make_card(load_manifest(folder), "bare")
    for title in ("Measured figures on test", "Class by class on test", "Gaps between cohorts on test"):
        assert "python -m core evaluate" in card.section(title).paragraphs[0]
        assert card.section(title).table is None
    assert card.section("Recipe").paragraphs == ("Not stored.",)
    assert card.section("Licence").paragraphs == ("not stored",)


def test_a_card_has_what_the_operating_point_gives_on_test(folder: Path) -> None:
    model = make_card(load_manifest(folder), "student").section("Model")
    assert "91.7% (95% interval 88.5 to 94.7) of the malignant" in value(model, "at the operating point")
    chosen_on_validation = {"malignancy_threshold": 0.2, "validation_sensitivity": 0.951}
    update_model(folder, "student", {"operating_point": chosen_on_validation})
    model = make_card(load_manifest(folder), "student").section("Model")
    assert value(model, "at the operating point").startswith("95.1% of the malignant validation images")


def test_a_mean_of_runs_is_not_put_down_to_distillation_alone(folder: Path) -> None:
    parts = [{"name": "fourth", "sha256": "aaa"}, {"name": "third", "sha256": "bbb"}]
    provenance = {
        "mean_of": parts,
        "teachers": ["third", "base"],
        "initial_weights": "best.npz (sha256 bbb...)",
    }
    update_model(folder, "student", {"provenance": provenance})
    manifest = update_model(folder, "baseline", ModelEntry("baseline", "B", "baseline"))
    said = make_card(manifest, "student").section("Intended use").paragraphs[1]
    assert said.startswith(
        "Its weights are the mean of those of fourth and third. The recipe below is that of fourth, "
    )
    assert "taught by third and base" in said
    update_model(folder, "student", {"provenance": provenance | {"mean_of": parts[:1]}})
    assert len(make_card(load_manifest(folder), "student").section("Intended use").paragraphs) == 2
    assert "The baseline is a single run" in said
    assert len(make_card(manifest, "baseline").section("Intended use").paragraphs) == 2


def test_every_card_names_the_limits(folder: Path) -> None:
    for name in ("student", "bare"):
        text = " ".join(make_card(load_manifest(folder), name).section("Limits").paragraphs)
        for word in ("light", "dermatoscopic", "7 diagnoses", "histopathology"):
            assert word in text


def test_thin_cohorts_are_left_out_of_the_gaps() -> None:
    found = cohort_gaps([cohort("male", 0.8), cohort("female", 0.7), cohort("unknown", 0.1, thin=True)])
    assert found[["worst", "best", "gap, points"]].to_numpy().tolist() == [["female", "male", 10.0]]


def test_groups_by_confirmation_are_in_words() -> None:
    groups = (("histo", 0.7), ("follow_up", 0.9))
    found = cohort_gaps([cohort(group, value, dimension="confirmation") for group, value in groups])
    assert found[["worst", "best"]].to_numpy().tolist() == [["histopathology", "follow-up"]]


def test_a_group_with_one_melanoma_has_no_part_in_the_gap_of_melanomas() -> None:
    counts, shares = {"n_melanomas": 40, "n_malignant": 60}, {"melanoma_sensitivity": {"value": 0.6}}
    male, female = (cohort(group, 0.8) | counts | shares for group in ("male", "female"))
    lone = cohort("foot", 0.7) | {"n_melanomas": 1, "n_malignant": 1, "melanoma_sensitivity": {"value": 0.0}}
    found = cohort_gaps([male, female, lone]).set_index("figure")
    assert found.loc["Accuracy", "worst"] == "foot", "it has lesions enough"
    assert found.loc["Melanoma sensitivity", "gap, points"] == 0


@pytest.mark.parametrize("rows", [[], [cohort("male", 0.8)], [cohort("a", None), cohort("b", 0.5)]])
def test_one_group_has_no_gap(rows: list[dict]) -> None:
    assert cohort_gaps(rows).empty


def test_the_markdown_shows_markup_as_it_is(folder: Path) -> None:
    text = to_markdown(make_card(load_manifest(folder), "student"))
    assert text.startswith(r"# A \*bold\* \<b\>title\</b\>")
    assert "| Accuracy | 81.2% | 70.0 to 90.0 |" in text
    assert all(f"## {title}" in text for title in TITLES)


def test_an_unknown_model_has_no_card(folder: Path) -> None:
    with pytest.raises(ArtifactError):
        make_card(load_manifest(folder), "nobody")
