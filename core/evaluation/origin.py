"""What a model was made from, so that figures of HAM10000 are neither measured on nor replaced by drawn lesions."""

from __future__ import annotations

from core.data.ham10000 import Dataset
from core.errors import UserError
from core.manifest import Manifest

DATA_NOTE = (
    "HAM10000: Tschandl, Rosendahl, Kittler, Scientific Data 5:180161 (2018), "
    "doi 10.7910/DVN/DBW86T, CC BY-NC 4.0"
)
SYNTHETIC_NOTE = "synthetic lesions drawn by core.data.synthetic: no photographs, nothing to diagnose with"
ELSEWHERE = "set DERMDISTILL_ARTIFACTS to a folder of its own"


def check_origin(manifest: Manifest, name: str, dataset: Dataset) -> None:
    """Refuse to measure a model of photographs on drawn lesions.

    Args:
        manifest: that has the model.
        name: of the model; one that does not say what it was made from is measured on anything.
        dataset: at hand.

    Raises:
        UserError: the dataset is synthetic and the model is not.
    """
    data = manifest.model(name).provenance.get("data")
    if dataset.is_synthetic and data and data != SYNTHETIC_NOTE:
        raise UserError(
            f"{name}: expected HAM10000 in {dataset.root}, which it was trained on, found synthetic lesions: what they "
            f"give would stand for it. For models of synthetic lesions {ELSEWHERE}"
        )


def check_place(manifest: Manifest | None, name: str, dataset: Dataset) -> None:
    """Refuse to publish a model of drawn lesions in the place of one of photographs.

    Args:
        manifest: of the artifacts, None where there is none.
        name: to publish under.
        dataset: that the model is trained on.

    Raises:
        UserError: a model of that name is there and was trained on photographs.
    """
    if manifest is None or name not in manifest.models or not dataset.is_synthetic:
        return
    data = manifest.models[name].provenance.get("data")
    if data and data != SYNTHETIC_NOTE:
        raise UserError(
            f"{name}: expected HAM10000 in {dataset.root}, found synthetic lesions, and {manifest.folder} has a "
            f"{name} of HAM10000, which would be lost; train with --no-publish, or {ELSEWHERE}"
        )
