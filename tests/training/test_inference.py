"""Logits of a network over a store."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from core.data.pixels import to_input
from core.training.inference import predict_logits


@pytest.mark.parametrize(("images", "batch_size"), [(1, 4), (4, 4), (9, 4)])
def test_every_row_in_order_whatever_the_batches(tiny, tmp_path, images, batch_size):
    network, data = tiny.make_network(), tiny.make_data(tmp_path)
    rows = np.arange(images)[::-1] * 3
    found = predict_logits(network, data.store.pixels, rows, size=24, batch_size=batch_size)
    x = np.stack([to_input(data.store.pixels[row], 24) for row in rows]).astype(np.float32)
    assert found == pytest.approx(keras.ops.convert_to_numpy(network(x, training=False)), abs=1e-4)
    assert found.dtype == np.float32
