"""A trained network from the artifacts folder, as Keras."""

from __future__ import annotations

import keras

from core.artifacts import Manifest
from core.errors import UserError
from core.networks.classifiers import build
from core.networks.weights import load_weights
from core.settings import INPUT_SIZE


def load_trained(manifest: Manifest, name: str, *, size: int | None = INPUT_SIZE) -> keras.Model:
    """Build a model's network and fill in the weights that the manifest lists, after checking their hash.

    Args:
        manifest: of the artifacts folder.
        name: the model.
        size: side of the input; None takes any size.

    Raises:
        ArtifactError: the model or its weight file is not there, or differs from its hash.
        UserError: it has no Keras weights (a variant, an ensemble).
    """
    entry, path = manifest.model(name), weights_of(manifest, name)
    manifest.read(path)  # checks the hash before the file is parsed
    network = build(entry.network, size=size, widths=entry.widths)
    load_weights(network, manifest.folder / path, entry.network)
    return network


def check_weights(manifest: Manifest, name: str, sha256: str) -> None:
    """Refuse to enter what was made of weights that are no longer the model's.

    Args:
        manifest: as it is now.
        name: of the model.
        sha256: of the weights that it was made of.

    Raises:
        UserError: the model has others by now.
    """
    if manifest.files[weights_of(manifest, name)].sha256 != sha256:
        raise UserError(
            f"{name}: expected the weights that this was made of, found others, published meanwhile; run it again"
        )


def weights_of(manifest: Manifest, name: str) -> str:
    """Where a model's Keras weights lie, relative to the artifacts folder; the file is not looked at.

    Raises:
        ArtifactError: the model is not there.
        UserError: it has no Keras weights (a variant, an ensemble).
    """
    entry = manifest.model(name)
    path = entry.files.get("weights")
    if path is None:
        parent = f"; use its parent {entry.parent}" if entry.parent else ""
        raise UserError(f"model {name}: expected Keras weights in {manifest.folder}, found none{parent}")
    return path
