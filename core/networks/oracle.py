"""Research explanations by tf-keras-vis on the Keras network: slow, one class at a time, loaded on demand only.

They are the oracle of the explaining graph's tests, and what the dashboard's research drawer shows: Grad-CAM++ and
Score-CAM beside Grad-CAM, and the saliency of single pixels. This module imports tensorflow; nothing imports it at
its own top.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from tf_keras_vis.gradcam import Gradcam
from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus
from tf_keras_vis.saliency import Saliency
from tf_keras_vis.scorecam import Scorecam
from tf_keras_vis.utils.scores import CategoricalScore

from core.lesions import N_CLASSES
from core.networks.classifiers import feature_layer

SCORE_CAM_CHANNELS = 64
SMOOTH_SAMPLES = 20
SMOOTH_NOISE = 0.1
_random_state = threading.Lock()


@dataclass(frozen=True)
class Method:
    """One explanation: its name and source, what it shows, and how to compute it.

    `compute(model, batch, class_index)` takes a float32 batch (1, s, s, 3) and gives (1, s, s) in 0..1.
    """

    title: str
    source: str
    note: str
    compute: Callable[[keras.Model, np.ndarray, int], np.ndarray]


def explain(model: keras.Model, pixels: np.ndarray, class_index: int, method: str) -> np.ndarray:
    """One explanation of one class for one image.

    Args:
        model: a network of `core.networks.classifiers`, not an explaining graph.
        pixels: (s, s, 3) uint8, RGB, as `core.data.pixels.to_input` makes it.
        class_index: the class, 0 to 6.
        method: a key of `METHODS`.

    Returns:
        (s, s) float32 from 0 to 1; all zero where nothing speaks for the class.

    Raises:
        ValueError: unknown method, a class that is not there, or pixels of another shape.
    """
    if method not in METHODS:
        raise ValueError(f"method: expected one of {', '.join(METHODS)}, found {method!r}")
    if not 0 <= class_index < N_CLASSES:
        raise ValueError(f"class_index: expected 0 to {N_CLASSES - 1}, found {class_index!r}")
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise ValueError(f"expected an RGB uint8 array (s, s, 3), found {pixels.dtype} {pixels.shape}")
    shown = METHODS[method].compute(model, pixels[np.newaxis].astype(np.float32), class_index)
    return np.asarray(shown[0], np.float32)


def gradcam_maps(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Grad-CAM of every class as tf-keras-vis computes it, neither enlarged nor normalised.

    Args:
        model: a network of `core.networks.classifiers`.
        images: (N, s, s, 3), raw RGB 0..255.

    Returns:
        (N, 7, h, w) float32.
    """
    gradcam = Gradcam(model)
    batch = images.astype(np.float32)
    maps = [
        gradcam(_score(c, len(batch)), batch, **_layer(model), expand_cam=False, normalize_cam=False)
        for c in range(N_CLASSES)
    ]
    return np.stack([np.asarray(each) for each in maps], axis=1)


def _score(class_index: int, images: int = 1) -> CategoricalScore:
    return CategoricalScore([class_index] * images)


def _layer(model: keras.Model) -> dict:
    """The features that the head pools, whatever kind of layer gives them."""
    return {"penultimate_layer": feature_layer(model), "seek_penultimate_conv_layer": False}


def _grad_cam(model: keras.Model, batch: np.ndarray, class_index: int) -> np.ndarray:
    return Gradcam(model)(_score(class_index), batch, **_layer(model))


def _grad_cam_plus_plus(model: keras.Model, batch: np.ndarray, class_index: int) -> np.ndarray:
    return GradcamPlusPlus(model)(_score(class_index), batch, **_layer(model))


def _score_cam(model: keras.Model, batch: np.ndarray, class_index: int) -> np.ndarray:
    # Every channel would cost a forward pass; those that vary most carry the map (Faster Score-CAM). It asks Keras for
    # predictions, which would draw a progress bar into the server's log.
    keras.config.disable_interactive_logging()
    return Scorecam(model)(_score(class_index), batch, **_layer(model), max_N=SCORE_CAM_CHANNELS)


def _saliency(model: keras.Model, batch: np.ndarray, class_index: int) -> np.ndarray:
    return Saliency(model)(_score(class_index), batch)


def _smooth_grad(model: keras.Model, batch: np.ndarray, class_index: int) -> np.ndarray:
    with (
        _random_state
    ):  # tf-keras-vis draws from numpy's global generator; the same image shall give the same map
        state = np.random.get_state()  # noqa: NPY002
        np.random.seed(0)  # noqa: NPY002
        try:
            return Saliency(model)(
                _score(class_index), batch, smooth_samples=SMOOTH_SAMPLES, smooth_noise=SMOOTH_NOISE
            )
        finally:
            np.random.set_state(state)  # noqa: NPY002


METHODS: dict[str, Method] = {
    "grad-cam": Method(
        "Grad-CAM",
        "Selvaraju et al., ICCV 2017",
        "Regions whose features raise the class's score; what the dashboard shows everywhere.",
        _grad_cam,
    ),
    "grad-cam++": Method(
        "Grad-CAM++",
        "Chattopadhay et al., WACV 2018",
        "Weighs each position's gradient on its own, so that several small regions count as one large one.",
        _grad_cam_plus_plus,
    ),
    "score-cam": Method(
        "Score-CAM",
        "Wang et al., CVPR Workshops 2020",
        f"No gradients: the score when only a channel's region is shown, for the {SCORE_CAM_CHANNELS} channels that "
        "vary most.",
        _score_cam,
    ),
    "saliency": Method(
        "Saliency",
        "Simonyan et al., 2013",
        "How much each pixel would change the score; sharp, and noisy.",
        _saliency,
    ),
    "smoothgrad": Method(
        "SmoothGrad",
        "Smilkov et al., 2017",
        f"Saliency averaged over {SMOOTH_SAMPLES} copies of the image with noise.",
        _smooth_grad,
    ),
}
