"""Batches of views, in this process and in workers, and mixup."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

from core.data.augmentation import AUGMENTATIONS, random_view
from core.data.pixels import turn
from core.training import batches as module
from core.training.batches import ViewMaker, ViewRequest, make_views, mix, repeats_of

STRONG = AUGMENTATIONS["strong"]


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "pixels.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8))
    return path


def requests(store, number: int = 15) -> list[ViewRequest]:
    return [ViewRequest(store, STRONG, 1, 32, (i, i + 1, i + 2), view=i % 3) for i in range(number)]


def test_a_batch_is_its_rows_views(store):
    request = ViewRequest(store, STRONG, 4, 24, (7, 2, 7), view=5)
    pixels = np.load(store)
    expected = [random_view(pixels[row], STRONG, seed=4, index=row, view=5, size=24) for row in (7, 2, 7)]
    assert np.array_equal(make_views(request), np.stack(expected))


def test_a_batch_comes_in_the_orientations_asked_for(store):
    plain = make_views(ViewRequest(store, STRONG, 4, 24, (7, 2, 9), view=5))
    turned = make_views(ViewRequest(store, STRONG, 4, 24, (7, 2, 9), view=5, orientations=(0, 3, 6)))
    assert np.array_equal(turned, np.stack([turn(view, k) for view, k in zip(plain, (0, 3, 6), strict=True)]))
    assert not np.array_equal(turned[1], plain[1])


def test_the_rows_company_does_not_matter(store):
    alone = make_views(ViewRequest(store, STRONG, 4, 32, (9,), view=1))
    among = make_views(ViewRequest(store, STRONG, 4, 32, (3, 9, 1), view=1))
    assert np.array_equal(alone[0], among[1])


def test_a_store_that_was_written_again_is_read_again(store):
    request = ViewRequest(store, AUGMENTATIONS["none"], 4, 32, (0,), view=0)
    make_views(request)
    other = store.with_name("other.npy")
    np.save(other, np.full((20, 32, 32, 3), 9, np.uint8))
    os.replace(other, store)
    os.utime(store, ns=(0, 12345))
    assert make_views(request).max() == 9


def test_workers_give_the_same_in_the_same_order(store):
    with ViewMaker(0) as here, ViewMaker(2) as there:
        expected = list(here.make(requests(store)))
        found = list(there.make(requests(store)))
    assert len(found) == 15
    assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))


def test_only_a_few_are_made_ahead(store):
    class Pool:
        def __init__(self):
            self.submitted = 0

        def submit(self, function, request):
            self.submitted += 1
            result = function(request)
            return type("Done", (), {"result": lambda self: result})()

        def shutdown(self, **_):
            pass

    maker = ViewMaker(0)
    maker._pool = Pool()
    made = maker.make(requests(store))
    next(made)
    assert maker._pool.submitted == module._AHEAD
    assert len(list(made)) == 14


def test_no_requests_no_batches(store):
    assert list(ViewMaker(0).make([])) == []


def test_a_workers_error_reaches_the_reader(tmp_path):
    with ViewMaker(1) as maker, pytest.raises(FileNotFoundError):
        list(maker.make(requests(tmp_path / "nothing.npy", 1)))


def test_workers_end_with_the_pool(store):
    maker = ViewMaker(1)
    with maker:
        list(maker.make(requests(store, 1)))
        processes = list(maker._pool._processes.values())
    deadline = time.monotonic() + 60
    while any(process.is_alive() for process in processes) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(process.is_alive() for process in processes)


def test_mixup_mixes_pixels_and_labels_by_the_same_share():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (5, 4, 4, 3), dtype=np.uint8)
    labels = np.eye(7)[[0, 1, 2, 3, 4]]
    mixed, mixed_labels = mix(x, labels, 0.4, np.random.default_rng(1))
    share = np.random.default_rng(1).beta(0.4, 0.4)
    assert mixed == pytest.approx(
        share * x.astype(float) + (1 - share) * x[::-1].astype(float), rel=1e-5, abs=1e-3
    )
    assert mixed_labels == pytest.approx(share * labels + (1 - share) * labels[::-1], rel=1e-5)
    assert mixed_labels.sum(axis=1) == pytest.approx(np.ones(5), rel=1e-5)
    assert mixed[2] == pytest.approx(x[2].astype(float), abs=1e-3)
    assert mixed.dtype == mixed_labels.dtype == np.float32


def test_an_image_shown_again_in_an_epoch_is_another_view(store):
    views = make_views(ViewRequest(store, STRONG, 4, 32, (7, 2, 7), view=5, repeats=(0, 0, 1)))
    assert np.array_equal(views[:2], make_views(ViewRequest(store, STRONG, 4, 32, (7, 2), view=5)))
    assert not np.array_equal(views[2], views[0])
    again = make_views(ViewRequest(store, STRONG, 4, 32, (7,), view=5, repeats=(1,)))
    assert np.array_equal(again[0], views[2])


def test_repeats_are_counted_over_the_whole_epoch():
    assert repeats_of([(1, 2, 1), (3, 1), (2,)]) == [(0, 0, 1), (0, 2), (1,)]
