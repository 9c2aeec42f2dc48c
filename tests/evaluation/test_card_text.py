"""What a manifest stores of a model's making, in words."""

from __future__ import annotations

import pytest

from core.evaluation.card_text import plain, provenance_rows, recipe_rows
from core.training.recipes import TUNED, Distillation, customised


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (None, "none"),
        ([], "none"),
        (True, "yes"),
        (0.00005, "5e-05"),
        ([1, 2], "1; 2"),
        ({"a_b": 1}, "a b 1"),
    ],
)
def test_values_as_people_read_them(found: object, text: str) -> None:
    assert plain(found) == text


def test_a_recipe_in_words() -> None:
    recipe = customised(TUNED["resnet50"], ["mixup=0.2"], "head1x64,3x160,1x224").to_dict()
    recipe["stages"][2]["learning_rate"] = 1e-4
    recipe["distillation"] = vars(Distillation(("a", "b"), alpha=0.5))
    rows = dict(recipe_rows(recipe))
    assert (
        rows["stages"]
        == "1 epoch at 64 px, of the head alone, then 3 at 160 px, then 1 at 224 px (peak rate 0.0001)"
    )
    assert rows["balance of the classes"] == "square-root class weights"
    assert rows["mixup, alpha"] == "0.2"
    assert rows["distillation: alpha"] == "0.5"
    assert rows["distillation: teachers"] == "a; b"
    assert "focal gamma" in rows["not used"]
    assert "mixup" not in rows["not used"]


def test_every_field_of_a_recipe_is_said() -> None:
    recipe = TUNED["mobilenetv2"].to_dict()
    rows = recipe_rows(recipe)
    assert len(rows) - 1 + len(dict(rows)["not used"].split(", ")) == len(recipe)


RUN = {
    "name": "third",
    "val_accuracy": 0.81,
    "val_balanced_accuracy": 0.766,
    "val_macro_f1": 0.728,
    "val_loss": 0.4855,
}
"""As the provenance tells of a run that was averaged with others."""


def test_provenance_in_words() -> None:
    agreement = {
        "images": 256,
        "same_class": 0.96,
        "mean_change": 0.019,
        "largest_change": 0.18,
        "signal_to_noise_db": 23.0,
    }
    rows = dict(
        provenance_rows(
            {
                "training_seconds": 3837, "mean_of": [RUN, RUN],
                "pruning": {"method": "channels", "share": 0.5, "size": 0.4, "score": "taylor", "images": 64},
                "compression": {"kind": "dynamic", "images": "HAM10000", "calibration_images": 210,
                                "agreement_with_keras_on_validation": agreement},
            }
        )
    )  # fmt: skip
    assert rows["training time of this run"] == "1 h 4 min"
    assert rows["mean of the weights of"].startswith("third (validation: accuracy 81.0%, balanced 76.6%")
    assert rows["pruned of"].startswith("whole channels, to 50% of the multiply-adds and 40% of the size")
    assert rows["numbers in the file"] == "dynamic int8"
    assert rows["ranges of activations from"] == "210 images of HAM10000"
    assert "change by 1.9 points on average and 18.0 at most" in rows["file beside Keras, on validation"]


def test_one_run_alone_is_no_mean() -> None:
    """It is stored so where no mean was as good on validation."""
    assert [name for name, _ in provenance_rows({"mean_of": [RUN]})] == ["weights of"]


@pytest.mark.parametrize(("seconds", "said"), [(20, "20 s"), (180, "3 min"), (3600, "1 h 0 min")])
def test_durations(seconds: float, said: str) -> None:
    assert provenance_rows({"training_seconds": seconds}) == [("training time of this run", said)]


@pytest.mark.parametrize(
    "provenance",
    [
        {"training_seconds": "long"}, {"mean_of": "x"}, {"mean_of": [{"name": "a"}]},
        {"pruning": {"method": "magnitude"}}, {"pruning": None}, {"compression": {}}, {"compression": "none"},
        {"compression": {"agreement_with_keras_on_validation": {"images": "many"}}},
    ],
)  # fmt: skip
def test_what_other_programs_wrote_is_shown_as_it_is(provenance: dict) -> None:
    assert all(isinstance(text, str) for row in provenance_rows(provenance) for text in row)


@pytest.mark.parametrize("stages", [None, "3", [3], [{"epochs": "x", "size": 1}]])
def test_other_stages_are_shown_as_they_are(stages: object) -> None:
    assert recipe_rows({"stages": stages}) == [("stages", plain(stages))]
