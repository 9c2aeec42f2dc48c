"""Classify a dermatoscopic image: python classify.py IMAGE. For teaching and research: this is no medical device.
Whatever a picture shows, it gets a diagnosis: the check that refuses foreign pictures is not in this folder."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image, ImageOps

MODEL = json.loads(Path(__file__).with_name("model.json").read_text(encoding="utf-8"))


def classify(image: Image.Image) -> dict[str, float]:
    """Class -> calibrated probability."""
    if image.mode[0] in "IF":  # Pillow would make white of them
        raise ValueError(f"mode {image.mode}")
    image = ImageOps.exif_transpose(image).convert("RGBA")  # upright
    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    pixels = cv2.resize(np.asarray(image), (MODEL["input"]["size"],) * 2, interpolation=cv2.INTER_AREA)
    runner = Interpreter(model_path=str(Path(__file__).with_name(MODEL["file"]))).get_signature_runner()
    odds = np.exp(runner(image=pixels[np.newaxis])["logits"][0].astype(np.float64) / MODEL["temperature"])
    return dict(zip(MODEL["classes"], (odds / odds.sum()).tolist(), strict=True))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python classify.py IMAGE")
    try:
        found = classify(Image.open(sys.argv[1]))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        sys.exit(f"error: expected an image that can be read, of 8 bits a channel, found: {error}")
    malignancy, threshold = sum(found[code] for code in MODEL["malignant"]), MODEL["malignancy_threshold"]
    answer = {"label": max(found, key=found.get), "malignancy": malignancy, "probabilities": found}
    print(json.dumps(answer | {"suspicious": None if threshold is None else malignancy >= threshold}))
