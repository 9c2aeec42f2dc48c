"""The report's starved teacher: a head on frozen ImageNet features that were fed pixels from 0 to 1.

Its ResNet50 reached 67.86%, hardly more than the share of nevi. Here it is made again, as a teacher.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from core.ablation.features import pooled_features, request_for
from core.ablation.images import Images
from core.ablation.protocol import Protocol
from core.lesions import N_CLASSES
from core.networks.classifiers import build
from core.networks.normalisation import fused
from core.training.batches import ViewMaker

NETWORK = "resnet50"
EPOCHS, LEARNING_RATE, BATCH = 20, 1e-4, 32
"""The report's, for its teachers' heads."""
_CAFFE_MEAN_BGR = np.array([103.939, 116.779, 123.68], np.float32)


class StarvedTeacher:
    """Its answers to the views of a split's training images.

    Args:
        images: at low resolution; the teacher sees the same views at `protocol.starved_size`.
        split: whose training part its head is trained on.
        protocol: of the runs.
        init: initial weights of the network.
        init_digest: of these, for the cache.
        maker: makes the views.
    """

    def __init__(
        self, images: Images, split: str, protocol: Protocol, init: str, init_digest: str, maker: ViewMaker
    ) -> None:
        # Loading another teacher leaves the precision of its recipe behind.
        keras.config.set_dtype_policy("float32")
        # Of all images at once, so that both splits are served by one pass.
        used = np.flatnonzero(images.positions >= 0)
        rows = images.rows[split]["train"]
        place = images.positions[rows]
        features = [
            pooled_features(
                "starved",
                init_digest,
                lambda: fused(build(NETWORK, init=init)),
                request_for(images.store, used, view, seed=protocol.view_seed, size=protocol.starved_size),
                maker,
                starve,
            )[place].astype(np.float32)
            for view in range(protocol.views)
        ]
        head = _train_head(features, images.labels[rows])
        self._position = {int(row): i for i, row in enumerate(rows)}
        self._logits = np.stack([head.predict(view, batch_size=1024, verbose=0) for view in features])

    def __call__(self, rows: Sequence[int], view: int, x: np.ndarray) -> np.ndarray:
        """(B, 7) logits for these rows' view; `x` is not looked at."""
        return self._logits[view, [self._position[int(row)] for row in rows]]


def starve(pixels: np.ndarray) -> np.ndarray:
    """What the network has to be given so that behind its own scaling it finds RGB pixels from 0 to 1.

    Its graph turns RGB into BGR and takes the ImageNet mean off; both are undone beforehand.

    Args:
        pixels: (B, s, s, 3) uint8 RGB.

    Returns:
        (B, s, s, 3) float32.
    """
    return (pixels.astype(np.float32) / 255 + _CAFFE_MEAN_BGR)[..., ::-1]


def _train_head(features: list[np.ndarray], labels: np.ndarray) -> keras.Model:
    """The report's head, on the features of each view in turn."""
    keras.utils.set_random_seed(0)
    head = keras.Sequential([keras.Input((features[0].shape[1],)), keras.layers.Dense(N_CLASSES)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    head.compile(keras.optimizers.Adam(LEARNING_RATE), loss)
    for epoch in range(EPOCHS):
        head.fit(features[epoch % len(features)], labels, batch_size=BATCH, epochs=1, verbose=0)
    return head
