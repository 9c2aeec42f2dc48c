"""Pooled features are of the very views that were asked for, and nothing is asked twice."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from core.ablation.features import pooled_features, request_for
from core.ablation.images import AUGMENTATION
from core.data.augmentation import AUGMENTATIONS
from core.data.pixels import PixelStore
from core.training.batches import ViewMaker, make_views

ROWS = np.array([3, 0, 5])
QUESTION = {"identity": "weights", "store": "pixels", "rows": ROWS, "view": 0, "seed": 1, "size": 32}


@pytest.fixture
def ask(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A function that asks for features; its list of networks counts how often one had to be made."""
    monkeypatch.setenv("DERMDISTILL_CACHE", str(tmp_path / "cache"))
    for seed, name in enumerate(("pixels", "others")):
        pixels = np.random.default_rng(seed).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
        np.save(tmp_path / f"{name}.npy", pixels)

    def network() -> keras.Model:
        ask.networks.append(tiny.make_network())
        return ask.networks[-1]

    def ask(
        identity: str, store: str, rows: np.ndarray, prepare=None, **view
    ) -> tuple[np.ndarray, np.ndarray]:
        """The features, and those that the network gives to the views."""
        request = request_for(PixelStore(tmp_path / f"{store}.npy", ()), rows, **view)
        found = pooled_features("tiny", identity, network, request, ViewMaker(0), prepare)
        whole = tiny.make_network()
        x = make_views(request)
        pooled = keras.Model(whole.input, whole.get_layer("pool").output)(
            (prepare(x) if prepare else x).astype(np.float32), training=False
        )
        return found, keras.ops.convert_to_numpy(pooled)

    ask.networks = []
    return ask


@pytest.mark.parametrize(
    "changes",
    [
        {"identity": "other weights"},
        {"store": "others"},
        {"rows": ROWS[::-1]},
        {"view": 1},
        {"seed": 2},
        {"size": 40},
    ],
    ids=str,
)
def test_another_question_is_asked_anew_and_none_twice(ask, changes):
    for question in (QUESTION, QUESTION | changes, QUESTION, QUESTION | changes):
        found, expected = ask(**question)
        assert found == pytest.approx(expected, abs=1e-2)
    assert len(ask.networks) == 2


def test_the_network_sees_what_the_views_were_made_into(ask):
    found, expected = ask(**QUESTION, prepare=lambda x: 255 - x)
    assert found == pytest.approx(expected, abs=1e-2)
    assert found != pytest.approx(ask(**QUESTION | {"identity": "as they are"})[0], abs=1e-2)


def test_another_augmentation_is_another_question(ask, monkeypatch):
    ask(**QUESTION)
    monkeypatch.setitem(AUGMENTATIONS, AUGMENTATION, AUGMENTATIONS["none"])
    found, expected = ask(**QUESTION)
    assert found == pytest.approx(expected, abs=1e-2)
    assert len(ask.networks) == 2
