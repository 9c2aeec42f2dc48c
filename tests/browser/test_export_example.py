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


SHOWN_SMALLER = """
async ([source, data]) => {
  const {pixelsOf} = await import(URL.createObjectURL(new Blob([source], {type: 'text/javascript'})));
  const image = document.createElement('img');
  image.src = 'data:image/png;base64,' + data;
  image.style.width = '320px';
  document.body.append(image);
  await image.decode();
  const seen = pixelsOf(image instanceof ImageBitmap ? image : await createImageBitmap(image));
  return [seen.width, seen.height, seen.data[0], seen.data[4 * (640 * 479 + 639)]];
}
"""
SIZES = [(600, 450), (450, 333), (224, 224), (225, 1023), (448, 448), (672, 448), (896, 896)]
"""Of the last three OpenCV rounds halves, up where both sides are twice as long and to even otherwise."""


@pytest.mark.parametrize(("width", "height"), SIZES)
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
    whole = width % 224 == height % 224 == 0
    # Where pixels are shared between two, OpenCV's sums have 24 bits.
    assert np.abs(found - expected).max() <= (0 if whole else 1)


def test_a_picture_that_is_shown_smaller_is_seen_whole(browser) -> None:
    """The width of an <img> is that at which it is shown."""
    source = (TEMPLATES / "classify.js").read_text()
    assert "image instanceof ImageBitmap ? image : await createImageBitmap(image)" in source
    own = re.sub(r"^import .*$", "", source, flags=re.MULTILINE).replace(
        "function pixelsOf", "export function pixelsOf"
    )
    picture = np.zeros((480, 640, 3), np.uint8)
    picture[:240, :320] = 255
    data = base64.b64encode(cv2.imencode(".png", picture)[1].tobytes()).decode()
    page = browser.new_page()
    found = page.evaluate(SHOWN_SMALLER, [own, data])
    page.close()
    assert found == [640, 480, 255, 0]
