"""The augmentation that the dataset page shows is that of training."""

import numpy as np

from core.data.augmentation import Augmentation
from core.data.pixels import to_input
from pages._set_views import views_of


def test_a_quarter_turn_of_a_wide_photograph_crops_nothing() -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (450, 600, 3), np.uint8)
    plain = to_input(rgb)
    turned = [np.rot90(side, k) for side in (plain, plain[:, ::-1]) for k in range(4)]
    for view in views_of(rgb, Augmentation(orientations=True), 3):
        assert any(np.array_equal(view, one) for one in turned)
