"""The exported example for the web, in a real browser: its pixels are OpenCV's."""

from __future__ import annotations

import base64
import re

import cv2
import numpy as np
import pytest

from core.export.folder import TEMPLATES

AVERAGE = """
async ([source, rgba, width, height, size]) => {
  const url = URL.createObjectURL(new Blob([source], {type: 'text/javascript'}));
  const {averageByArea} = await import(url);
  const pixels = Uint8Array.from(atob(rgba), (letter) => letter.charCodeAt(0));
  return Array.from(averageByArea(pixels, width, height, size));
}
"""


@pytest.mark.parametrize(("width", "height"), [(600, 450), (450, 333), (224, 224), (225, 1023)])
def test_the_web_example_averages_as_opencv_does(browser, width: int, height: int) -> None:
    source = (TEMPLATES / "classify.js").read_text()
    own, imports = re.subn(r'^import .* from "@litertjs/core";$', "", source, flags=re.MULTILINE)
    assert imports == 1, "the example no longer imports LiteRT.js in this way"
    rgba = np.random.default_rng(0).integers(0, 256, (height, width, 4), dtype=np.uint8)
    page = browser.new_page()
    letters = base64.b64encode(rgba.tobytes()).decode()
    found = np.array(page.evaluate(AVERAGE, [own, letters, width, height, 224])).reshape(224, 224, 3)
    page.close()
    expected = cv2.resize(np.ascontiguousarray(rgba[..., :3]), (224, 224), interpolation=cv2.INTER_AREA)
    assert np.abs(found - expected).max() <= 1
