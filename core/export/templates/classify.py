"""Classify a dermatoscopic image: python classify.py IMAGE. For teaching and research: this is no medical device."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter

MODEL = json.loads(Path(__file__).with_name("model.json").read_text(encoding="utf-8"))


def classify(path: str) -> dict[str, float]:
    """Class -> calibrated probability."""
    rgb, stored = (cv2.imread(path, how) for how in (cv2.IMREAD_COLOR_RGB, cv2.IMREAD_UNCHANGED))
    if rgb is None:
        sys.exit(f"error: expected an image, found {path}")
    if stored.shape == (*rgb.shape[:2], 4):  # transparency is laid over white
        rgb = np.rint(255 - (255.0 - rgb) * (stored[..., 3:] / np.iinfo(stored.dtype).max)).astype(np.uint8)
    pixels = cv2.resize(rgb, (MODEL["input"]["size"],) * 2, interpolation=cv2.INTER_AREA)
    runner = Interpreter(model_path=str(Path(__file__).with_name(MODEL["file"]))).get_signature_runner()
    odds = np.exp(runner(image=pixels[np.newaxis])["logits"][0].astype(np.float64) / MODEL["temperature"])
    return dict(zip(MODEL["classes"], (odds / odds.sum()).tolist(), strict=True))


if __name__ == "__main__":
    found = classify(sys.argv[1] if len(sys.argv) == 2 else sys.exit("usage: python classify.py IMAGE"))
    malignancy = sum(found[code] for code in MODEL["malignant"])
    print(json.dumps({"label": max(found, key=found.get), "malignancy": malignancy, "probabilities": found}))
