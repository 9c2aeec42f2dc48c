"""Many threads: one load of each model, every answer bit-equal to the serial one, no growing memory."""

import gc
import io
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from core.serving import classifier as classifier_module
from core.serving import intake
from core.serving.registry import Registry

MODELS = ("resnet50", "densenet169", "student-int8")


def fingerprint(diagnosis):
    return (
        diagnosis.label,
        diagnosis.probabilities.tobytes(),
        diagnosis.logits.tobytes(),
        diagnosis.maps.tobytes(),
        diagnosis.embedding.tobytes(),
    )


def test_20_threads_3_models_25_images_are_bit_equal_to_serial(make_artifacts, images):
    registry = Registry.open(make_artifacts(*MODELS))
    serial = {
        (name, k): fingerprint(registry.get(name).classify(image))
        for name in MODELS
        for k, image in enumerate(images)
    }
    assert len(set(serial.values())) == 75
    barrier = threading.Barrier(20)

    def one(thread: int):
        barrier.wait()
        jobs = [(name, k) for name in MODELS for k in range(25)]
        turned = jobs[thread * 3 :] + jobs[: thread * 3]
        return {(name, k): fingerprint(registry.get(name).classify(images[k])) for name, k in turned}

    with ThreadPoolExecutor(20) as pool:
        for found in pool.map(one, range(20), timeout=120):
            assert found == serial


def test_50_threads_on_first_use_load_each_model_once(make_artifacts, images, monkeypatch):
    folder = make_artifacts("resnet50", "densenet169", "student", "ensemble")
    loads = []

    class Counting(classifier_module.Classifier):
        @classmethod
        def load(cls, manifest, name):
            loads.append(name)
            return super().load(manifest, name)

    monkeypatch.setattr(classifier_module, "Classifier", Counting)
    registry = Registry.open(folder)
    barrier = threading.Barrier(50)
    names = ("ensemble", "student", "resnet50", "densenet169", "student")

    def first_use(thread: int):
        barrier.wait()
        return registry.get(names[thread % 5]).classify(images[0]).label

    with ThreadPoolExecutor(50) as pool:
        labels = list(pool.map(first_use, range(50), timeout=120))
    assert sorted(loads) == ["densenet169", "resnet50", "student"]
    assert all(len(set(labels[k::5])) == 1 for k in range(5))


def test_2000_predictions_with_maps_keep_memory_flat(make_artifacts, images):
    classifier = Registry.open(make_artifacts("student")).get("student")
    pixels = images[0][:224, :224].copy()

    def megabytes() -> float:
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * 4096 / 1e6

    for _ in range(200):
        classifier.classify(pixels)
    before = megabytes()
    for _ in range(2000):
        classifier.classify(pixels)
    assert megabytes() - before < 30


def test_however_many_upload_at_once_only_so_many_are_decoded_at_a_time(monkeypatch):
    """Each decoding may take `settings.MAX_DECODE_BYTES`: twenty at once would be 6 GB."""
    buffer = io.BytesIO()
    Image.new("RGB", (80, 80), "tan").save(buffer, "PNG")
    real, lock = intake.png.read, threading.Lock()
    running, most = 0, 0

    def slow(data):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.05)
        with lock:
            running -= 1
        return real(data)

    monkeypatch.setitem(intake._READERS, "PNG", slow)
    monkeypatch.setattr(intake, "_DECODERS", threading.BoundedSemaphore(3))
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(intake.read_image, [buffer.getvalue()] * 20))
    assert all(isinstance(one, intake.Upload) for one in found)
    assert most == 3


def test_a_refused_picture_gives_its_place_back(monkeypatch):
    monkeypatch.setattr(intake, "_DECODERS", threading.BoundedSemaphore(1))
    for _ in range(3):
        assert isinstance(intake.read_image(b"\x89PNG\r\n\x1a\n" + b"junk" * 50), intake.Rejection)
