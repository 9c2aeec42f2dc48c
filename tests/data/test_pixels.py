"""The one preprocessing function and the store of decoded pixels."""

from __future__ import annotations

import io
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from core.data import pixels as module
from core.data.ham10000 import open_dataset
from core.data.pixels import PixelError, PixelStore, decode, derived, to_input
from core.errors import UserError
from core.settings import INPUT_SIZE


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


class Source:
    """A dataset of PNG files in memory that counts what is read."""

    def __init__(self, images: dict[str, bytes], root: Path = Path("made-up")) -> None:
        self.images, self.root, self.layout, self.reads = images, root, "flat folder", []

    def read_bytes(self, image_id: str) -> bytes:
        self.reads.append(image_id)
        return self.images[image_id]


@pytest.fixture
def source() -> Source:
    return Source({f"A_{i}": png(noise(30 + i, 40, i)) for i in range(9)})


@pytest.mark.parametrize("shape", [(450, 600), (600, 450), (225, 224), (64, 64), (100, 3000)])
def test_to_input_is_opencvs_area_resize_of_the_whole_frame(shape):
    image = noise(*shape)
    expected = cv2.resize(image, (224, 224), interpolation=cv2.INTER_AREA)
    assert np.array_equal(to_input(image), expected)
    assert to_input(image).dtype == np.uint8


def test_to_input_is_the_identity_at_the_inputs_size():
    image = noise(224, 224)
    assert to_input(image) is image
    assert to_input(to_input(noise(450, 600))).shape == (224, 224, 3)


def test_to_input_averages_by_area():
    image = np.zeros((448, 448, 3), np.uint8)
    image[::2, ::2] = 200
    assert np.unique(to_input(image)).tolist() == [50]


def test_to_input_at_another_size():
    image = noise(224, 224)
    assert np.array_equal(to_input(image, 96), cv2.resize(image, (96, 96), interpolation=cv2.INTER_AREA))


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((224, 224), np.uint8), np.zeros((224, 224, 4), np.uint8), np.zeros((9, 9, 3), np.float32)],
)
def test_to_input_refuses_other_arrays(wrong):
    with pytest.raises(ValueError, match="expected an RGB uint8 array"):
        to_input(wrong)


def test_decode_gives_rgb():
    image = np.zeros((8, 8, 3), np.uint8)
    image[..., 0] = 250
    assert np.array_equal(decode(png(image), "red"), image)


@pytest.mark.parametrize("data", [b"", b"no image", png(noise(8, 8))[:20]])
def test_decode_names_what_it_cannot_read(data):
    with pytest.raises(
        PixelError, match=f"ISIC_1: expected a readable image, found {len(data)} bytes"
    ) as caught:
        decode(data, "ISIC_1")
    assert isinstance(caught.value, UserError)


def test_the_store_holds_every_image_in_the_order_asked_for(source, tmp_path):
    ids = list(source.images)[::-1]
    store = PixelStore.open(source, ids, tmp_path)
    assert store.image_ids == tuple(ids)
    assert store.pixels.shape == (9, INPUT_SIZE, INPUT_SIZE, 3)
    assert store.pixels.dtype == np.uint8
    for row, image_id in enumerate(ids):
        assert np.array_equal(store.pixels[row], to_input(decode(source.images[image_id], image_id)))
    with pytest.raises(ValueError, match="read-only"):
        store.pixels[0] = 0


def test_a_second_opening_decodes_a_few_samples_only(source, tmp_path):
    ids = list(source.images)
    first = PixelStore.open(source, ids, tmp_path)
    source.reads.clear()
    second = PixelStore.open(source, ids, tmp_path)
    assert second == first
    assert sorted(source.reads) == ["A_0", "A_4", "A_8"]


def test_other_ids_roots_and_layouts_are_other_stores(source, tmp_path):
    ids = list(source.images)
    paths = {PixelStore.open(source, ids, tmp_path).path, PixelStore.open(source, ids[:-1], tmp_path).path}
    elsewhere = Source(source.images, Path("elsewhere"))
    paths.add(PixelStore.open(elsewhere, ids, tmp_path).path)
    otherwise = Source(source.images, source.root)
    otherwise.layout = "class folders"
    paths.add(PixelStore.open(otherwise, ids, tmp_path).path)
    assert len(paths) == 4


def test_other_images_under_the_same_ids_are_decoded_again(source, tmp_path):
    ids = list(source.images)
    PixelStore.open(source, ids, tmp_path)
    redrawn = Source({image_id: png(noise(30, 40, 100 + i)) for i, image_id in enumerate(ids)})
    store = PixelStore.open(redrawn, ids, tmp_path)
    assert np.array_equal(store.pixels[3], to_input(decode(redrawn.images["A_3"], "A_3")))


def test_a_killed_decoding_leaves_no_store_and_the_next_one_is_whole(source, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    ids = list(source.images)
    real = module.to_input
    calls = []

    def killed(rgb):
        calls.append(1)
        if len(calls) == 5:
            raise Killed
        return real(rgb)

    monkeypatch.setattr(module, "to_input", killed)
    with pytest.raises(Killed):
        PixelStore.open(source, ids, tmp_path)
    assert not list(tmp_path.glob("*.npy"))
    monkeypatch.setattr(module, "to_input", real)
    # What SIGKILL leaves behind, since no `finally` runs then.
    for path in tmp_path.glob("*.lock"):
        path.with_suffix(".partial").write_bytes(b"half of it")
    store = PixelStore.open(source, ids, tmp_path)
    assert np.array_equal(store.pixels[8], to_input(decode(source.images["A_8"], "A_8")))
    assert not list(tmp_path.glob("*.partial"))


def test_a_damaged_store_is_made_again(source, tmp_path):
    ids = list(source.images)
    store = PixelStore.open(source, ids, tmp_path)
    store.path.write_bytes(store.path.read_bytes()[:1000])
    assert PixelStore.open(source, ids, tmp_path).pixels.shape == (9, 224, 224, 3)


def test_two_openings_at_once_decode_once(source, tmp_path):
    ids = list(source.images)
    slow = source.read_bytes
    source.read_bytes = lambda image_id: (time.sleep(0.01), slow(image_id))[1]
    threads = [threading.Thread(target=PixelStore.open, args=(source, ids, tmp_path)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert source.reads.count("A_1") == 1


def test_what_is_computed_from_a_store_is_made_once_whoever_asks(tmp_path):
    store, path, made = tmp_path / "store.npy", tmp_path / "cache" / "answers.npy", []
    store.write_bytes(b"pixels")

    def make() -> np.ndarray:
        made.append(1)
        time.sleep(0.2)
        return np.arange(7)

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: derived(store, path, make), range(3)))
    assert len(made) == 1
    assert all(np.array_equal(one, np.arange(7)) for one in found)


def test_a_store_that_was_written_later_has_it_made_anew(tmp_path):
    store, path = tmp_path / "store.npy", tmp_path / "answers.npy"
    store.write_bytes(b"pixels")
    assert derived(store, path, lambda: np.zeros(2)).tolist() == [0, 0]
    assert derived(store, path, lambda: np.ones(2)).tolist() == [0, 0]
    later = path.stat().st_mtime_ns + 10**9
    os.utime(store, ns=(later, later))
    assert derived(store, path, lambda: np.ones(2)).tolist() == [1, 1]


def test_what_fails_halfway_leaves_nothing_in_the_cache(tmp_path):
    store, path = tmp_path / "store.npy", tmp_path / "answers.npy"
    store.write_bytes(b"pixels")

    def fail() -> np.ndarray:
        raise MemoryError

    with pytest.raises(MemoryError):
        derived(store, path, fail)
    assert not list(tmp_path.glob("answers.npy*"))
    assert derived(store, path, lambda: np.ones(2)).tolist() == [1, 1]


def test_an_unreadable_image_is_named(source, tmp_path):
    source.images["A_5"] = b"broken"
    with pytest.raises(PixelError, match="A_5"):
        PixelStore.open(source, list(source.images), tmp_path)
    assert not list(tmp_path.glob("*.npy"))
    assert not list(tmp_path.glob("*.partial"))


def test_images_come_in_order_and_few_wait(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    started = []

    def work(item: str) -> int:
        started.append(item)
        return int(item)

    with ThreadPoolExecutor(4) as pool:
        results = module._map_bounded(pool, work, [str(i) for i in range(50)], ahead=8)
        assert next(results) == 0
        time.sleep(0.05)
        assert len(started) <= 10
        assert list(results) == list(range(1, 50))


def test_the_store_of_a_folder(small_folder, tmp_path):
    dataset = open_dataset(small_folder)
    ids = dataset.records["image_id"].tolist()
    store = PixelStore.open(dataset, ids, tmp_path)
    assert store.pixels.shape == (len(ids), 224, 224, 3)


@pytest.mark.ham10000
def test_real_images_keep_their_mean_colour(ham10000):
    for image_id in ham10000.records["image_id"].iloc[[0, 5000, -1]]:
        rgb = decode(ham10000.read_bytes(image_id), image_id)
        assert to_input(rgb).mean(axis=(0, 1)) == pytest.approx(rgb.mean(axis=(0, 1)), abs=0.6)
