"""A map lies over the whole frame of its image, in the image's own aspect; an empty one is a note."""

import cv2
import numpy as np
import pytest

from core.serving.overlay import COLOUR_MAPS, MAX_SIDE, draw_overlay, encode_png, shrink, stretch

GREY = np.full((450, 600, 3), 120, np.uint8)


@pytest.mark.parametrize("shape", [(450, 600), (600, 450), (224, 224), (64, 256)])
def test_keeps_the_aspect(shape):
    image = np.full((*shape, 3), 120, np.uint8)
    assert draw_overlay(image, np.eye(7, dtype=np.float32)).image.shape == image.shape


def test_large_images_are_shrunk_in_their_aspect():
    overlay = draw_overlay(np.zeros((3000, 6000, 3), np.uint8), np.eye(7, dtype=np.float32))
    assert overlay.image.shape == (MAX_SIDE // 2, MAX_SIDE, 3)
    assert shrink(GREY) is GREY


@pytest.mark.parametrize("row", range(7))
@pytest.mark.parametrize("column", range(7))
def test_colour_is_where_the_map_is(row, column):
    layer = np.zeros((7, 7), np.float32)
    layer[row, column] = 3.0
    changed = np.abs(draw_overlay(GREY, layer).image.astype(int) - GREY).sum(axis=2)
    y, x = np.unravel_index(changed.argmax(), changed.shape)
    assert (y * 7 // 450, x * 7 // 600) == (row, column)
    far = changed.reshape(450, 600)[(row + 3) % 7 * 450 // 7 + 32, (column + 3) % 7 * 600 // 7 + 42]
    assert far == 0


def test_colours_are_rgb():
    hot = draw_overlay(GREY, np.ones((7, 7), np.float32), opacity=1).image
    assert hot[0, 0].tolist() == cv2.applyColorMap(np.uint8([[255]]), cv2.COLORMAP_TURBO)[0, 0, ::-1].tolist()
    assert hot[0, 0, 0] > hot[0, 0, 2]


def test_opacity():
    layer = np.eye(7, dtype=np.float32)
    assert np.array_equal(draw_overlay(GREY, layer, opacity=0).image, GREY)
    strength = [np.abs(draw_overlay(GREY, layer, opacity=o).image - 120.0).sum() for o in (0.2, 0.5, 1.0)]
    assert strength == sorted(strength)
    assert strength[0] > 0


@pytest.mark.parametrize("layer", [np.zeros((7, 7)), np.full((7, 7), np.nan), np.full((7, 7), np.inf)])
def test_empty_map_is_a_note(layer):
    overlay = draw_overlay(GREY, layer.astype(np.float32), label="Melanoma")
    assert overlay.image is None
    assert overlay.note == "Nothing in the image speaks for Melanoma: its map is zero everywhere."


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_scale_of_the_map_does_not_matter(scale):
    layer = np.arange(49, dtype=np.float32).reshape(7, 7)
    assert stretch(layer * np.float32(scale), 45, 60) == pytest.approx(stretch(layer, 45, 60), abs=1e-5)


@pytest.mark.parametrize("options", [{"opacity": 1.5}, {"opacity": -1}, {"colours": "jet"}])
def test_other_options_are_errors(options):
    with pytest.raises(ValueError, match="expected an opacity from 0 to 1 and one of turbo"):
        draw_overlay(GREY, np.eye(7, dtype=np.float32), **options)


@pytest.mark.parametrize("colours", COLOUR_MAPS)
def test_png_comes_back(colours):
    image = draw_overlay(GREY, np.eye(7, dtype=np.float32), colours=colours).image
    read = cv2.imdecode(np.frombuffer(encode_png(image), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.array_equal(read, image)
