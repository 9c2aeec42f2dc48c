"""Pictures that the models were made from are known again, and no others."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from core.artifacts import ArtifactError, update_shared
from core.data.pixels import decode, to_input
from core.data.samples import synthetic_sample
from core.data.splits import assign
from core.serving.answer import OK
from core.serving.overlay import encode_png
from core.serving.panel import ask
from core.serving.registry import Registry
from core.serving.seen import KEY, SENTENCES, TRAIN, VALIDATION, Seen, fingerprint, load_seen


def picture(seed: int) -> np.ndarray:
    """(224, 224, 3) uint8, smooth as a lesion is."""
    noise = np.random.default_rng(seed).integers(0, 256, (14, 14, 3), np.uint8)
    return cv2.resize(noise, (224, 224), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def seen() -> Seen:
    return Seen.of([picture(1), picture(2)], [True, False])


@pytest.mark.parametrize("size", [(224, 224), (600, 450), (900, 900)])
def test_a_picture_is_known_again_at_any_size(seen: Seen, size: tuple[int, int]):
    scaled = [to_input(cv2.resize(picture(k), size, interpolation=cv2.INTER_AREA)) for k in (1, 2, 3)]
    assert [seen.part(one) for one in scaled] == [TRAIN, VALIDATION, None]


def test_a_picture_is_known_again_as_another_jpeg(seen: Seen):
    _, data = cv2.imencode(".jpg", picture(1), [cv2.IMWRITE_JPEG_QUALITY, 80])
    assert seen.part(cv2.imdecode(data, cv2.IMREAD_COLOR)) == TRAIN


def test_a_mirrored_picture_is_another(seen: Seen):
    assert seen.part(np.ascontiguousarray(picture(1)[:, ::-1])) is None


def test_a_fingerprint_has_512_bits_and_flat_pictures_one_too():
    assert fingerprint(picture(1)).shape == (64,)
    assert not fingerprint(np.full((224, 224, 3), 7, np.uint8)).any()
    assert Seen(np.zeros((0, 64), np.uint8), np.zeros(0, bool)).part(picture(1)) is None


def test_a_file_gives_back_what_it_was_made_of(seen: Seen):
    again = Seen.from_bytes(seen.to_bytes(), "seen.npz")
    assert np.array_equal(again.bits, seen.bits)
    assert np.array_equal(again.trained, seen.trained)


@pytest.mark.parametrize("data", [b"", b"PK", Seen(np.zeros((2, 8), np.uint8), np.zeros(2, bool)).to_bytes()])
def test_damaged_files_are_refused(data: bytes):
    with pytest.raises(ArtifactError, match=r"seen\.npz: expected"):
        Seen.from_bytes(data, "seen.npz")


def test_the_sentence_says_what_the_picture_was_to_the_models(make_artifacts, seen: Seen):
    folder = make_artifacts("student")
    assert load_seen(Registry.open()) is None
    (folder / "seen.npz").write_bytes(seen.to_bytes())
    update_shared(folder, {KEY: "seen.npz"})
    said = [ask(Registry.open(), ["student"], encode_png(picture(k))).memory for k in (1, 2, 3)]
    assert said == [SENTENCES[TRAIN], SENTENCES[VALIDATION], ""]


def test_damaged_fingerprints_are_noted_and_the_answer_stands(make_artifacts):
    folder = make_artifacts("student")
    (folder / "seen.npz").write_bytes(b"damaged")
    update_shared(folder, {KEY: "seen.npz"})
    reading = ask(Registry.open(), ["student"], encode_png(picture(1)))
    assert (reading.status, reading.memory) == (OK, "")
    assert any("made from are not recognised: seen.npz: expected" in note for note in reading.notes)


def test_shipped_fingerprints_know_no_synthetic_lesion():
    seen = load_seen(Registry.open())
    assert seen is not None
    for number in (1, 2, 3):
        drawn = decode(synthetic_sample("mel", number).data, "drawn")
        assert seen.part(to_input(drawn)) is None


def test_of_ham10000_every_picture_that_models_were_made_from_is_known_and_no_test_image(ham10000):
    seen = load_seen(Registry.open())
    assert seen is not None
    records = ham10000.records
    parts = assign(records)
    assert len(seen.bits) == np.isin(parts, [TRAIN, VALIDATION]).sum()

    def part(image_id: str, size: tuple[int, int]) -> str | None:
        pixels = to_input(decode(ham10000.read_bytes(image_id), image_id))
        return seen.part(to_input(cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC)))

    for wanted, size in ((TRAIN, (600, 450)), (VALIDATION, (224, 224))):
        for image_id in records["image_id"][parts == wanted][::80]:
            assert part(image_id, size) == wanted, image_id
    tested = records["image_id"][parts == "test"]
    assert [image_id for image_id in tested if part(image_id, (224, 224))] == []
