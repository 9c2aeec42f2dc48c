"""Random views: pure functions of their numbers, the report's ranges, the eight orientations."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data import augmentation as module
from core.data.augmentation import AUGMENTATIONS, Augmentation, random_view
from core.data.pixels import to_input

DRAWS = 400


def image(seed: int = 0, side: int = 64) -> np.ndarray:
    """A smooth image, so that sub-pixel shifts change little."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return to_input(small.repeat(side // 4, axis=0).repeat(side // 4, axis=1), side)


def view(
    augmentation: Augmentation, number: int, *, of: np.ndarray | None = None, size: int = 64, **changes
) -> np.ndarray:
    key = {"seed": 1, "index": 2, "view": number} | changes
    return random_view(image() if of is None else of, augmentation, size=size, **key)


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("size", [32, 48, 64])
def test_a_view_is_uint8_of_the_asked_size(name, size):
    result = view(AUGMENTATIONS[name], 0, size=size)
    assert result.shape == (size, size, 3)
    assert result.dtype == np.uint8


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**31), st.integers(0, 10_014), st.integers(0, 500), st.sampled_from(sorted(AUGMENTATIONS))
)
def test_a_view_is_a_function_of_its_numbers(seed, index, number, name):
    first, second = (
        random_view(image(), AUGMENTATIONS[name], seed=seed, index=index, view=number, size=48)
        for _ in range(2)
    )
    assert np.array_equal(first, second)


@pytest.mark.parametrize("changed", [{"seed": 9}, {"index": 9}, {"view": 9}])
def test_other_numbers_give_another_view(changed):
    assert not np.array_equal(view(AUGMENTATIONS["strong"], 0), view(AUGMENTATIONS["strong"], 0, **changed))


def test_the_image_itself_is_left_alone():
    source = image()
    before = source.copy()
    view(AUGMENTATIONS["strong"], 3, of=source)
    assert np.array_equal(source, before)


@pytest.mark.parametrize("side", [63, 64, 224])
def test_none_is_the_identity(side):
    source = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    for number in range(5):
        assert np.array_equal(view(AUGMENTATIONS["none"], number, of=source, size=side), source)
    assert np.array_equal(view(AUGMENTATIONS["none"], 0, of=source, size=32), to_input(source, 32))


@pytest.mark.parametrize("name", ["report", "strong"])
def test_the_same_view_at_another_size_is_the_same_pixels_made_smaller(name):
    for number in range(8):
        large = view(AUGMENTATIONS[name], number, size=64)
        assert np.array_equal(view(AUGMENTATIONS[name], number, size=32), to_input(large, 32))


def test_all_eight_orientations_are_equally_likely():
    only = Augmentation(orientations=True)
    source = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    turned = [np.rot90(flipped, k) for k in range(4) for flipped in (source, source[:, ::-1])]
    names = {np.ascontiguousarray(one).tobytes(): i for i, one in enumerate(turned)}
    seen = Counter(names[view(only, number, of=source, size=32).tobytes()] for number in range(2 * DRAWS))
    assert sorted(seen) == list(range(8))
    chi_squared = sum((count - DRAWS / 4) ** 2 / (DRAWS / 4) for count in seen.values())
    assert chi_squared < 24.3  # The 99.9% point with 7 degrees of freedom.


def test_a_horizontal_flip_shows_half_of_the_images_mirrored():
    only = Augmentation(horizontal_flip=True)
    source = image()
    results = [view(only, number, of=source) for number in range(DRAWS)]
    mirrored = sum(np.array_equal(result, source[:, ::-1]) for result in results)
    same = sum(np.array_equal(result, source) for result in results)
    assert mirrored + same == DRAWS
    assert abs(mirrored - DRAWS / 2) < 3.3 * np.sqrt(DRAWS) / 2


def test_the_reports_numbers():
    report = AUGMENTATIONS["report"]
    assert report == Augmentation(
        horizontal_flip=True, rotation=5, shear=10, zoom=(0.8, 1.2), shift=0.02, brightness=(0.85, 1.15)
    )


def geometry(augmentation: Augmentation, number: int) -> dict[str, float]:
    """Rotation, shear (degrees), zoom, stretch and shift (shares of the side), taken back out of the warp's matrix."""
    matrix = module._affine(augmentation, np.random.default_rng([1, 2, number]), 64, 64)
    linear = matrix[:, :2]
    centre = np.array([31.5, 31.5])
    angle = np.arctan2(linear[1, 0], linear[0, 0])
    upright = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) @ linear
    return {
        "rotation": np.degrees(angle),
        "shear": np.degrees(np.arctan2(upright[0, 1], upright[1, 1])),
        "zoom": np.sqrt(np.linalg.det(linear)),
        "stretch": upright[0, 0] / upright[1, 1],
        "shift_x": (matrix[0, 2] - (centre - linear @ centre)[0]) / 64,
        "shift_y": (matrix[1, 2] - (centre - linear @ centre)[1]) / 64,
    }


@pytest.mark.parametrize("name", ["report", "strong"])
def test_the_warp_fills_its_ranges_and_stays_in_them(name):
    from dataclasses import replace

    a = replace(AUGMENTATIONS[name], orientations=False, horizontal_flip=False)
    drawn = {key: np.array([geometry(a, n)[key] for n in range(DRAWS)]) for key in geometry(a, 0)}
    limits = {
        "rotation": (-a.rotation, a.rotation),
        "shear": (-a.shear, a.shear),
        "zoom": a.zoom,
        "stretch": (1 / (1 + a.stretch), 1 + a.stretch),
        "shift_x": (-a.shift, a.shift),
        "shift_y": (-a.shift, a.shift),
    }
    for key, (low, high) in limits.items():
        assert drawn[key].min() >= low - 1e-6, key
        assert drawn[key].max() <= high + 1e-6, key
        assert np.ptp(drawn[key]) >= 0.9 * (high - low), key


def test_a_zoom_above_one_magnifies():
    dot = np.zeros((64, 64, 3), np.uint8)
    dot[24:40, 24:40] = 255
    assert view(Augmentation(zoom=(2.0, 2.0)), 0, of=dot).mean() == pytest.approx(4 * dot.mean(), rel=0.05)


@pytest.mark.parametrize("name", ["report", "strong"])
def test_brightness_scales_a_grey_image_within_the_range(name):
    grey = np.full((32, 32, 3), 100, np.uint8)
    a = AUGMENTATIONS[name]
    means = np.array([view(a, n, of=grey, size=32).mean() for n in range(DRAWS)])
    spread = 1 + a.white_balance
    assert means.min() >= 100 * a.brightness[0] / spread - 1
    assert means.max() <= 100 * a.brightness[1] * spread + 1
    assert np.ptp(means) > 0.8 * 100 * (a.brightness[1] - a.brightness[0])


def test_the_report_keeps_colours():
    grey = np.full((32, 32, 3), 100, np.uint8)
    for number in range(20):
        result = view(AUGMENTATIONS["report"], number, of=grey, size=32)
        assert np.ptp(result.reshape(-1, 3), axis=1).max() == 0


def test_contrast_keeps_the_mean_and_saturation_the_grey():
    source = np.clip(image().astype(int) // 2 + 64, 0, 255).astype(np.uint8)
    for number in range(10):
        contrast = view(Augmentation(contrast=0.3), number, of=source)
        assert contrast.mean() == pytest.approx(source.mean(), abs=1)
        saturation = view(Augmentation(saturation=0.3), number, of=source)
        luma = np.array([0.299, 0.587, 0.114])
        assert np.abs(saturation @ luma - source @ luma).max() < 1.5
    spreads = [view(Augmentation(contrast=0.3), n, of=source).std() / source.std() for n in range(60)]
    assert 0.69 < min(spreads) < 0.8
    assert 1.2 < max(spreads) < 1.31


def test_white_balance_changes_each_channel_on_its_own():
    grey = np.full((16, 16, 3), 100, np.uint8)
    channels = np.array(
        [view(Augmentation(white_balance=0.1), n, of=grey, size=16)[8, 8] for n in range(100)]
    )
    assert channels.min() >= 89
    assert channels.max() <= 111
    assert abs(np.corrcoef(channels[:, 0], channels[:, 2])[0, 1]) < 0.3


def test_borders_are_mirrored_not_black():
    white = np.full((64, 64, 3), 255, np.uint8)
    warped = Augmentation(rotation=30, shear=5, zoom=(0.8, 0.8), shift=0.1)
    assert min(view(warped, n, of=white).min() for n in range(20)) == 255
