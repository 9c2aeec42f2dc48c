"""How near two tables of logits are."""

import numpy as np
import pytest

from core.artifacts import ModelEntry, load_manifest, update_model
from core.evaluation.agreement import agreement, with_parent
from core.evaluation.calibration import softmax
from core.evaluation.cards import make_card, to_markdown
from core.evaluation.predictions import Predictions, PredictionsError
from core.lesions import CODES


def test_equal_tables():
    logits = np.random.default_rng(0).normal(size=(9, 7)).astype(np.float32)
    found = agreement(logits, logits)
    assert (found.images, found.same_class, found.largest_change) == (9, 1.0, 0.0)
    assert found.signal_to_noise_db == float("inf")


def test_figures_by_hand():
    reference = np.zeros((2, 7), np.float32)
    reference[:, 0] = 1
    found = reference.copy()
    found[1, 3] = 3
    probability = np.exp(3) / (np.exp(3) + np.e + 5) - 1 / (np.e + 6)
    measured = agreement(reference, found)
    assert measured.same_class == 0.5
    assert measured.largest_change == pytest.approx(probability)
    assert measured.mean_change == pytest.approx(probability / 2)
    assert measured.signal_to_noise_db == pytest.approx(10 * np.log10(2 / 9))
    assert measured.text().startswith("same class for 50.0% of 2 images")


def test_adding_a_constant_changes_no_probability():
    logits = np.random.default_rng(1).normal(size=(5, 7)).astype(np.float32)
    assert agreement(logits, logits + 2).largest_change < 1e-6


@pytest.mark.parametrize("shape", [(4, 7), (0, 7)])
def test_tables_of_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="expected two equal shapes"):
        agreement(np.zeros((0, 7)) if shape[0] == 0 else np.zeros((5, 7)), np.zeros(shape))


def predictions(model, logits, order=None):
    n = len(logits)
    ids = np.array([f"ISIC_{i:07d}" for i in range(n)])
    rows = Predictions(model, ids, ids, np.arange(n) % 7, logits.astype(np.float32), np.full(n, "test"))
    return rows if order is None else rows.take(order)


def test_a_variant_beside_its_parent_class_by_class():
    rng = np.random.default_rng(2)
    theirs = rng.normal(size=(70, 7))
    mine = theirs + rng.normal(0, 0.3, theirs.shape)
    found = with_parent(
        predictions("v", mine), predictions("p", theirs, rng.permutation(70)), temperatures=(0.5, 2.0)
    )
    assert found["parent"] == "p"
    assert found["images"] == 70
    assert found["same_class"] == (mine.argmax(axis=1) == theirs.argmax(axis=1)).mean()
    change = np.abs(softmax(mine.astype(np.float32), 0.5) - softmax(theirs.astype(np.float32), 2.0))
    assert found["largest_change"] == pytest.approx(change.max())
    for k, code in enumerate(CODES):
        of_class = theirs.argmax(axis=1) == k
        row = found["classes"][code]
        assert row["images"] == of_class.sum()
        assert row["same_class"] == pytest.approx((mine[of_class].argmax(axis=1) == k).mean())
        assert row["mean_change"] == pytest.approx(change[:, k].mean())
        assert row["largest_change"] == pytest.approx(change[:, k].max())


def test_a_class_that_the_parent_never_names():
    logits = np.zeros((3, 7))
    logits[:, 5] = 1
    row = with_parent(predictions("v", logits), predictions("p", logits))["classes"]["mel"]
    assert row == {"images": 0, "same_class": None, "mean_change": 0.0, "largest_change": 0.0}


def test_other_images_are_refused():
    with pytest.raises(PredictionsError, match="same images"):
        with_parent(predictions("v", np.zeros((3, 7))), predictions("p", np.zeros((4, 7))))


@pytest.fixture
def card_of(tmp_path):
    """A function that makes the card of a variant with given figures and table of layers."""

    def make(figures, layers=None):
        update_model(tmp_path, "p", ModelEntry("p", "Parent", "student"))
        files = {}
        if layers is not None:
            (tmp_path / "layers.csv").write_text(layers)
            files = {"layers": "layers.csv"}
        update_model(tmp_path, "v", ModelEntry("v", "Variant", "variant", parent="p", figures=figures), files)
        if layers == "damaged":
            (tmp_path / "layers.csv").write_text("changed")
        return make_card(load_manifest(tmp_path), "v")

    return make


def test_the_card_shows_it_with_mcnemar_s_test(card_of):
    logits = np.random.default_rng(0).normal(size=(21, 7))
    comparison = {"second": "p", "mcnemar": {"only_first": 14, "only_second": 16, "p_mid": 0.72},
                  "sensitivity": {"mel": {"value": -0.01, "low": -0.02, "high": 0.0}}}  # fmt: skip
    found = with_parent(predictions("v", logits * 1.1), predictions("p", logits))
    card = card_of({"agreement": found, "comparisons": [{"second": "other"}, comparison]},
                   "layer,kind,signal_to_noise_db\nConv1_relu,ReLU,31.5\n")  # fmt: skip
    section = card.section("Agreement with p on test")
    assert section.paragraphs[0].startswith("Same class for 100.0% of 21 images")
    assert "14 images are right only here, 16 only in p, mid-p 0.72" in section.paragraphs[1]
    row = section.table.set_index("class").loc["Melanoma"]
    assert row["change of sensitivity, points"] == "-1.0 (-2.0 to +0.0)"
    layers = card.section("Rounding to eight bits, layer by layer").table
    assert layers.iloc[0].tolist() == ["Conv1_relu", "ReLU", 31.5]
    assert "Conv1\\_relu" in to_markdown(card)


def test_the_card_says_that_it_was_not_measured_and_names_a_damaged_table(card_of):
    card = card_of({}, "damaged")
    assert "python -m core evaluate" in card.section("Agreement with p on test").paragraphs[0]
    assert "layers.csv" in card.section("Rounding to eight bits, layer by layer").paragraphs[0]


def test_a_model_without_parent_has_no_such_section(card_of, tmp_path):
    card_of({})
    titles = [section.title for section in make_card(load_manifest(tmp_path), "p").sections]
    assert not [title for title in titles if "Agreement" in title or "eight bits" in title]
