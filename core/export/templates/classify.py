"""Classify a dermatoscopic image: python classify.py IMAGE. For teaching and research: this is no medical device."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter

HERE = Path(__file__).resolve().parent
MODEL = json.loads((HERE / "model.json").read_text(encoding="utf-8"))


def classify(path: str) -> dict[str, float]:
    """Class -> calibrated probability."""
    rgb = cv2.imread(path, cv2.IMREAD_COLOR_RGB)
    if rgb is None:
        sys.exit(f"error: expected an image, found {path}")
    pixels = cv2.resize(rgb, (MODEL["input"]["size"],) * 2, interpolation=cv2.INTER_AREA)
    runner = Interpreter(model_path=str(HERE / MODEL["file"])).get_signature_runner()
    logits = runner(image=pixels[np.newaxis])["logits"][0].astype(np.float64) / MODEL["temperature"]
    odds = np.exp(logits - logits.max())
    return dict(zip(MODEL["classes"], (odds / odds.sum()).tolist(), strict=True))


if __name__ == "__main__":
    found = classify(sys.argv[1])
    malignancy = sum(found[code] for code in MODEL["malignant"])
    print(json.dumps({"label": max(found, key=found.get), "malignancy": malignancy, "probabilities": found}))
