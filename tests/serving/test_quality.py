"""Advice on photographs: each fault gets its sentence, a good picture none, and the limits are measured."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from core.artifacts import ArtifactError, load_manifest, update_shared
from core.data.pixels import decode, turn
from core.serving.answer import Diagnoser
from core.serving.fitting import ADVISED, fit_quality
from core.serving.overlay import encode_png
from core.serving.panel import ask
from core.serving.quality import CHECKS, KEY, TOO_SMALL, PhotoLimits, Quality, judge, load_limits, measure
from core.serving.registry import Registry

SENTENCE = {check.name: check.sentence for check in CHECKS}
LIMITS = PhotoLimits(
    {"blurred": 1.0, "dark": 60.0, "light": 215.0, "flat": 15.0, "glare": 0.05, "shadow": 0.2},
    {"blurred": 0.3, "dark": 30.0, "light": 240.0, "flat": 4.0, "glare": 0.3, "shadow": 0.3},
    100,
    0.02,
)


def picture(shape=(450, 600)):
    """A textured brown blot on skin."""
    rng = np.random.default_rng(1)
    y, x = np.meshgrid(np.linspace(-1, 1, shape[0]), np.linspace(-1, 1, shape[1]), indexing="ij")
    inside = np.exp(-((x / 0.4) ** 2 + (y / 0.5) ** 2))[..., np.newaxis]
    coarse = cv2.resize(rng.normal(0, 20, (90, 120)).astype(np.float32), shape[::-1])[..., np.newaxis]
    return np.clip(np.array([200, 155, 135]) - inside * 85 + coarse, 10, 245).astype(np.uint8)


def spoil(name):
    image = picture()
    if name == "blurred":
        return cv2.GaussianBlur(image, (0, 0), 12)
    if name == "dark":
        return (image * 0.25).astype(np.uint8)
    if name == "light":
        return (image * 0.1 + 222).astype(np.uint8)
    if name == "flat":
        return (image * 0.05 + 130).astype(np.uint8)
    image[:200, :300] = 255 if name == "glare" else 0
    image[250:, :] = image[250:, :] if name == "glare" else 0
    return image


def advise(image, limits=LIMITS):
    return judge(image, limits).advice


def test_a_good_picture_gets_no_advice():
    assert judge(picture(), LIMITS) == Quality()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_worse_than_the_worst_is_poor_and_the_worst_itself_is_not(check):
    value = measure(spoil(check.name))[check.measure]
    for worst, poor in ((value, False), (value * (0.999 if check.above else 1.001), True)):
        far = {c.name: 1e9 if c.above else -1e9 for c in CHECKS}
        found = judge(spoil(check.name), replace(LIMITS, worst=far | {check.name: worst}))
        assert found.poor is poor
        assert check.sentence in found.advice


@pytest.mark.parametrize("worse", list(SENTENCE))
def test_what_makes_a_picture_poor_is_said_last(worse):
    """What is said behind the advice, that no picture was worse "in this", is meant of the last sentence."""
    far = {c.name: -1e9 if c.above else 1e9 for c in CHECKS}
    limits = replace(LIMITS, limits=far, worst={name: -value for name, value in far.items()})
    assert judge(picture(), limits) == Quality(tuple(SENTENCE.values()))
    found = judge(picture(), replace(limits, worst=limits.worst | {worse: far[worse]}))
    assert found.poor
    assert found.advice[-1] == SENTENCE[worse]
    assert set(found.advice) == set(SENTENCE.values())


@pytest.mark.parametrize("name", list(SENTENCE))
def test_each_fault_has_its_sentence(name):
    assert SENTENCE[name] in advise(spoil(name), LIMITS)


def test_faults_are_told_apart():
    told = {name: set(advise(spoil(name), LIMITS)) for name in ("blurred", "dark", "light", "glare")}
    assert told["blurred"] == {SENTENCE["blurred"]}
    assert SENTENCE["light"] not in told["dark"] | told["glare"]
    assert SENTENCE["dark"] not in told["light"] | told["glare"]


@pytest.mark.parametrize(("shape", "small"), [((224, 300), False), ((300, 223), True), ((100, 100), True)])
def test_too_small_is_what_must_be_enlarged(shape, small):
    assert (TOO_SMALL in advise(picture(shape), LIMITS)) is small


def test_the_size_of_the_file_does_not_matter():
    own = measure(picture())
    large = measure(cv2.resize(picture(), None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST))
    assert large == pytest.approx(own, abs=1e-6)


def test_the_orientation_does_not_matter():
    own = measure(picture())
    for k in range(8):
        assert measure(np.ascontiguousarray(turn(picture(), k))) == pytest.approx(own, rel=1e-4)


def test_limits_advise_on_few_of_the_pictures_they_come_from(small_folder):
    from core.data.ham10000 import open_dataset

    dataset = open_dataset(small_folder)
    ids = dataset.records["image_id"].tolist()
    limits = fit_quality(dataset, ids)
    assert limits.images == len(ids)
    assert 0 < limits.share <= ADVISED + 1 / len(ids)
    assert set(limits.limits) == set(SENTENCE)
    assert limits == fit_quality(dataset, ids)
    assert not any(judge(decode(dataset.read_bytes(name), name), limits).poor for name in ids), (
        "none is worse than the worst"
    )


def store(folder, content):
    (folder / "gate").mkdir(exist_ok=True)
    (folder / "gate/quality.json").write_bytes(content)
    update_shared(folder, {KEY: "gate/quality.json"})


def test_limits_are_stored_and_read(make_artifacts):
    folder = make_artifacts("student")
    assert load_limits(Registry.open()) is None
    store(folder, json.dumps(LIMITS.to_json()).encode())
    assert load_limits(Registry(load_manifest(folder))) == LIMITS


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b'{"version": 2}',
        json.dumps({**LIMITS.to_json(), "version": 1}).encode(),
        json.dumps({**LIMITS.to_json(), "worst": {"blurred": 1}}).encode(),
        json.dumps({**LIMITS.to_json(), "limits": {"blurred": 1}}).encode(),
        json.dumps({**LIMITS.to_json(), "limits": {**LIMITS.limits, "dark": "x"}}).encode(),
        json.dumps({**LIMITS.to_json(), "limits": {**LIMITS.limits, "dark": float("nan")}}).encode(),
        json.dumps({**LIMITS.to_json(), "worst": {**LIMITS.worst, "dark": float("nan")}}).encode(),
    ],
)  # fmt: skip
def test_damaged_limits_are_refused_and_the_model_works(make_artifacts, content):
    folder = make_artifacts("student")
    store(folder, content)
    with pytest.raises(ArtifactError, match=r"quality\.json: expected limits"):
        load_limits(Registry.open())
    diagnoser = Diagnoser.open(Registry.open(), "student", advice=True)
    assert "the photograph's quality is not looked at" in diagnoser.note
    assert diagnoser.answer(encode_png(spoil("dark"))).quality == Quality()


def test_advice_reaches_the_reading_and_refuses_nothing(make_artifacts):
    folder = make_artifacts("student")
    store(folder, json.dumps(LIMITS.to_json()).encode())
    reading = ask(Registry.open(), ["student"], encode_png(spoil("dark")), "a.png")
    assert reading.status == "ok"
    assert SENTENCE["dark"] in reading.quality.advice
    assert ask(Registry.open(), ["student"], encode_png(picture()), "a.png").quality == Quality()
    unasked = Diagnoser.open(Registry.open(), "student").answer(encode_png(spoil("dark")))
    assert unasked.quality == Quality()
