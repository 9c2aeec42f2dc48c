"""The exported folder's README: how to make an image the model's input, and what its outputs mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.evaluation.held_out import on_test
from core.text import escape

_TEXT = """# {title}

For teaching and research on dermatoscopic images of single pigmented skin lesions. **This is no medical device**: it
must not be used to diagnose, to treat, or to decide who is seen by a doctor. `MODEL_CARD.md` says what was measured,
and on whom it was not.

The project refuses pictures that are no dermatoscopic images before it classifies them. That check is not in this
folder: this file names one of its diagnoses whatever it is shown, and may be sure of it. Ask it about nothing else.

The examples are under the MIT licence (`LICENSE`). The model: {licence}. {attribution}

| file | what it is |
|---|---|
| `{file}` | the network for one image at a time, LiteRT (TensorFlow Lite), {megabytes:.2f} MB |
| `model.json` | every number below, for programs |
| `labels.txt` | the classes, one a line, in the order of the outputs |
| `classify.py` | an example for Python 3.11 or newer: `pip install -r requirements.txt`, `python classify.py IMAGE` |
| `requirements.txt` | what it needs |
| `classify.js` | an example for the web (LiteRT.js) |
| `Classifier.kt` | an example for Android (Kotlin) |
| `LICENSE` | of the examples |
| `MODEL_CARD.md` | what the model is for, what it was made of, what was measured |
| `SHA256SUMS` | checksums of all files: `sha256sum -c SHA256SUMS` |

The network is the project's own file with its batch fixed at one, which browsers need; its answers are the same.
SHA-256 of the project's own: `{made_from}`.

## From an image to the input

1. Decode the image, turn it upright (EXIF orientation), convert it to sRGB by its colour profile where it has one, lay
   transparency over white, and bring the channels into the order {channels}, 8 bits each: {low} to {high}. The
   example for Python does not read colour profiles: convert pictures in another space than sRGB, such as a phone's,
   before.
2. Resize the whole frame, of at least that size, to {size} x {size} pixels. The aspect is not kept and nothing is cut
   off. Each new pixel is the mean of the area that it covers (OpenCV's `INTER_AREA`); other ways of resizing change the
   answers.
3. That is the input `{input}`, {input_type}, shape {shape}. Do not scale, centre or normalise: the network does.

## From the outputs to an answer

The signature `{signature}` has these outputs, in the file's order. Find them by their names there: the tensors' own
names mean nothing, and another model's file may have another order.

{outputs}

- Probabilities are softmax(logits / {temperature:.6g}). The temperature was fitted on validation images; without it
  the model sounds surer, or less sure, than it is.
- The classes are, in this order: {classes}.
- The malignancy score is the sum of the probabilities of {malignant}.{threshold}
- `maps` holds, for each class, which regions speak for it (Grad-CAM, {map_height} x {map_width}, zero or more, in a
  unit of its own): divide each class's map by its own maximum and enlarge it over the image. Where a map is zero
  everywhere, nothing speaks for its class.
- `embedding` describes the image; the angle between two of them tells how alike two images are to the model.
"""

_MEANINGS = {
    "logits": "one for each class",
    "maps": "where the model looked, class by class",
    "embedding": "the pooled features",
}


_TERMS = {"CC BY-NC 4.0": "https://creativecommons.org/licenses/by-nc/4.0/"}


def _linked(licence: str) -> str:
    """A licence with the address of its text, where it is known."""
    found = next((address for name, address in _TERMS.items() if licence.startswith(name)), None)
    return f"{licence} (<{found}>)" if found else licence


def read_me(facts: Mapping[str, Any]) -> str:
    """The README of an exported folder.

    Args:
        facts: of `core.export.folder.describe`.
    """
    pixels, outputs = facts["input"], facts["outputs"]
    threshold = facts["malignancy_threshold"]
    point = ""
    if threshold is not None:
        point = f"\n  At {threshold:.4g} and above the project calls an image suspicious"
        target = facts["sensitivity_target"]
        point += f", which was chosen for a sensitivity of {target:.0%} on validation." if target else "."
        held_out = on_test({"test": facts["operating_point_on_test"]})
        point += f"\n  {held_out}" if held_out else ""
    return _TEXT.format(
        title=escape(facts["title"]),
        licence=_linked(escape(facts["licence"])) or "its licence is not stored",
        attribution=f"It was made from {escape(facts['data'])}, which has to be named."
        if facts["data"]
        else "",
        made_from=facts["made_from_sha256"],
        file=facts["file"],
        megabytes=facts["bytes"] / 1e6,
        channels=pixels["channels"],
        low=pixels["range"][0],
        high=pixels["range"][1],
        size=pixels["size"],
        input=pixels["name"],
        input_type=pixels["type"],
        shape=tuple(pixels["shape"]),
        signature=facts["signature"],
        outputs="\n".join(
            f"- `{key}` {tuple(detail['shape'])} ({', '.join(detail['axes'])}) {detail['type']}, {_MEANINGS[key]};"
            for key, detail in outputs.items()
        ).removesuffix(";")
        + ".",
        temperature=facts["temperature"],
        classes=", ".join(f"`{code}` {facts['names'][code]}" for code in facts["classes"]),
        malignant=", ".join(f"`{code}`" for code in facts["malignant"]),
        threshold=point,
        map_height=outputs["maps"]["shape"][2],
        map_width=outputs["maps"]["shape"][3],
    )
