"""The student of all runs: one graph, traced once, that begins each run with fresh weights."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from core.ablation.mistakes import SwitchedLoss, as_keras_ships
from core.ablation.protocol import Protocol
from core.lab.variants import Variant
from core.lesions import N_CLASSES
from core.networks.classifiers import build
from core.networks.normalisation import fused
from core.training.checkpoint import state_variables
from core.training.inference import predict_batch
from core.training.losses import hard_accuracy
from core.training.schedule import WarmupCosine

NETWORK = "mobilenetv2"
_PREDICT = 256


class Student:
    """A network that can be begun again and again.

    Args:
        protocol: of the runs.
        init: its ImageNet weights, `imagenet` or a file.
        steps_per_epoch: of all runs.
        hint_width: D of the teacher's embedding, where the student has to tell it too; 0 for a plain student.
        unchanged: whether its batch normalisation is left as Keras ships it.

    Attributes:
        network: its logits, followed by the told embedding where there is a hint.
    """

    def __init__(
        self,
        protocol: Protocol,
        init: str,
        steps_per_epoch: int,
        hint_width: int = 0,
        unchanged: bool = False,
    ) -> None:
        self._protocol, self._init = protocol, init
        self._hint_width, self._unchanged = hint_width, unchanged
        self.network = self._build(None)
        self._told = keras.Model(self.network.input, self.network.outputs[0]) if hint_width else self.network
        self.loss = SwitchedLoss()
        self._hint_loss = HintLoss()
        schedule = WarmupCosine(
            protocol.learning_rate, protocol.epochs * steps_per_epoch, steps_per_epoch // 2, 0.01
        )
        optimizer = keras.optimizers.AdamW(schedule, weight_decay=0.05)
        # As in the loop of the shipped models: decaying biases and normalisation only shifts the activations.
        optimizer.exclude_from_weight_decay(
            var_list=[v for v in self.network.trainable_variables if len(v.shape) < 2]
        )
        if hint_width:
            self.network.compile(
                optimizer, loss=[self.loss, self._hint_loss], metrics=[[hard_accuracy], []], jit_compile=False
            )
        else:
            self.network.compile(optimizer, self.loss, metrics=[hard_accuracy], jit_compile=False)
        self.network.optimizer.build(self.network.trainable_variables)

    def begin(self, variant: Variant) -> None:
        """Weights, random state and optimizer as at the start of a run, and its loss."""
        keras.utils.set_random_seed(variant.seed)
        fresh = self._build(self._init if variant.start == "imagenet" else None)
        for mine, new in zip(state_variables(self.network), state_variables(fresh), strict=True):
            mine.assign(new)
        for variable in self.network.optimizer.variables:
            variable.assign(np.zeros(variable.shape, variable.dtype))  # JAX makes no zeros like a variable
        self.take_loss(variant)

    def take_loss(self, variant: Variant) -> None:
        """The loss of a run, which its checkpoint does not hold."""
        self.loss.set(variant)
        self._hint_loss.weight.assign(variant.hint)

    def step(
        self, x: np.ndarray, labels: np.ndarray, teacher: np.ndarray, hint: np.ndarray | None
    ) -> tuple[float, float]:
        """One step on uint8 pixels, (B, 7) labels, (B, 7) teacher logits and (B, D) embeddings.

        Returns:
            Mean loss, and the share of the images that were named rightly.
        """
        targets = np.stack([labels, teacher], axis=1)
        self.network.reset_metrics()
        found = self.network.train_on_batch(
            x.astype(np.float32), targets if hint is None else [targets, hint], return_dict=True
        )
        accuracy = next(value for key, value in found.items() if key.endswith("hard_accuracy"))
        return float(found["loss"]), float(accuracy)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """(N, 7) float32 logits of (N, s, s, 3) uint8 images."""
        chunks = [images[i : i + _PREDICT] for i in range(0, len(images), _PREDICT)]
        return np.concatenate([predict_batch(self._told, chunk, _PREDICT) for chunk in chunks])

    def _build(self, init: str | None) -> keras.Model:
        # Loading a teacher leaves the precision of its recipe behind.
        keras.config.set_dtype_policy("float32")
        plain = fused(build(NETWORK, init=init, size=self._protocol.size))
        if self._unchanged:
            as_keras_ships(plain)
        if not self._hint_width:
            return plain
        told = keras.layers.Dense(self._hint_width, name="hint")(plain.get_layer("pool").output)
        return keras.Model(plain.input, [plain.output, told])


class HintLoss(keras.losses.Loss):
    """Mean squared distance of the told embedding from the teacher's (Romero et al. 2015, "FitNets"), weighted."""

    def __init__(self) -> None:
        super().__init__(name="hint_loss", dtype="float32")
        self.weight = keras.Variable(0.0, trainable=False, dtype="float32")

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """(batch,) of two (batch, D) embeddings."""
        return self.weight * ops.mean((y_true - y_pred) ** 2, axis=-1)


NO_TEACHER = np.zeros(N_CLASSES, np.float32)
"""In the place of a teacher's logits where alpha is 0."""
