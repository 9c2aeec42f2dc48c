"""The gate: what it measures and refuses, what an orientation changes, which gate stands before which model."""

import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from core.artifacts import ArtifactError, load_manifest, update_shared
from core.data.foreign import as_png, drawn
from core.data.pixels import to_input, turn
from core.errors import UserError
from core.serving.answer import OK, OUT_OF_DISTRIBUTION, Diagnoser
from core.serving.appearance import FEATURES, Appearance, features
from core.serving.arrays import pack
from core.serving.gate import FittedGate, GateUnavailable, gate_key, load_gate
from core.serving.registry import Registry
from core.serving.subspace import Subspace

VIEWS = range(8)


def lesion(seed, shape=(450, 600)):
    """A brown blot on skin: not much of a lesion, but its colours."""
    rng = np.random.default_rng(seed)
    y, x = np.meshgrid(np.linspace(-1, 1, shape[0]), np.linspace(-1, 1, shape[1]), indexing="ij")
    middle, size = rng.uniform(-0.3, 0.3, 2), rng.uniform(0.2, 0.5, 2)
    inside = np.exp(-(((x - middle[0]) / size[0]) ** 2 + ((y - middle[1]) / size[1]) ** 2))[..., np.newaxis]
    skin, brown = (
        np.array([205, 160, 140]) + rng.normal(0, 10, 3),
        np.array([110, 70, 60]) + rng.normal(0, 10, 3),
    )
    image = skin + (brown - skin) * inside + rng.normal(0, rng.uniform(1, 4), (*shape, 3))
    return np.clip(image, 0, 255).astype(np.uint8)


def upload(pixels):
    return SimpleNamespace(pixels=np.ascontiguousarray(pixels), input=to_input(np.ascontiguousarray(pixels)))


@pytest.fixture(scope="module")
def appearance():
    pictures = (lesion(seed, (224, 224) if seed % 2 else (450, 600)) for seed in range(80))
    return Appearance.fit(np.stack([features(to_input(picture)) for picture in pictures]), 3)


@pytest.fixture(scope="module")
def embeddings():
    """300 embeddings of 32 numbers that differ in four directions only, and a little in the others."""
    rng = np.random.default_rng(3)
    inside = rng.normal(size=(300, 4)) @ rng.normal(size=(4, 32))
    return (8 + inside + rng.normal(scale=0.05, size=(300, 32))).astype(np.float32)


@pytest.fixture(scope="module")
def gate(appearance, embeddings):
    subspace = Subspace.fit(embeddings, 4)
    return FittedGate(
        model="student",
        model_sha256="0" * 64,
        lesions=300,
        subspace=subspace,
        embedding_limit=float(subspace.residual(embeddings).max()) * 1.1,
        margin=0.2,
        appearance=appearance,
        appearance_limit=8.0,
    )


def with_residual(gate, ratio):
    """An embedding whose residual is `ratio` times the limit: from inside the subspace straight out of it."""
    rng = np.random.default_rng(0)
    base = gate.subspace.mean.astype(np.float64)
    out = rng.normal(size=len(base))
    for row in (*gate.subspace.components.astype(np.float64), base / np.linalg.norm(base)):
        out -= out @ row * row
    out /= np.linalg.norm(out)
    low, high = 0.0, 5.0
    for _ in range(60):
        step = (low + high) / 2
        residual = float(gate.subspace.residual(base + step * out))
        low, high = (step, high) if residual < ratio * gate.embedding_limit else (low, step)
    return (base + low * out).astype(np.float32)


# What is measured


@pytest.mark.parametrize(
    "pixels",
    [lesion(1)[:224, :224], np.random.default_rng(0).integers(0, 256, (224, 224, 3)).astype(np.uint8)],
    ids=["lesion", "noise"],
)
def test_appearance_is_the_same_for_every_orientation(pixels):
    found = [features(np.ascontiguousarray(turn(pixels, k))) for k in VIEWS]
    assert found[0].shape == (FEATURES,)
    np.testing.assert_allclose(found, np.broadcast_to(found[0], (8, FEATURES)), atol=1e-4)


def test_appearance_tells_colour_and_scale_apart():
    fine, coarse, flat = (np.full((224, 224, 3), 128, np.uint8) for _ in range(3))
    fine[:, ::4], coarse[:, :112] = 0, 0
    fine[:, 1::4] = 0
    a, b, c = features(fine), features(coarse), features(flat)
    levels = slice(15, FEATURES, 2)
    assert int(np.argmax(a[levels])) == 0
    assert np.ptp(c[15:]) < 1e-6
    assert a[15] > b[15] == pytest.approx(c[15], abs=1e-3)
    red = flat.copy()
    red[..., 0] = 200
    assert features(red)[1] > c[1] + 20  # a of CIELAB, its lowest quantile


def test_distance_is_zero_on_a_reference_and_grows(appearance):
    one = Appearance(appearance.mean, appearance.scale, appearance.references, 1)
    known = one.references[7] * one.scale + one.mean
    assert one.distance(known) == pytest.approx(0, abs=1e-3)
    far = [one.distance(known + step * one.scale) for step in (1, 3, 9)]
    assert 0 < far[0] < far[1] < far[2]


def test_residual_knows_no_scale_and_has_no_hole(gate, embeddings):
    residual = gate.subspace.residual
    np.testing.assert_allclose(residual(embeddings[:5] * 7), residual(embeddings[:5]), rtol=1e-3)
    assert residual(np.zeros(32)) == np.inf
    assert residual(np.full(32, np.nan)) == np.inf
    assert residual(np.eye(32, dtype=np.float32)[3]) > gate.embedding_limit


def test_subspace_needs_more_embeddings_than_dimensions():
    with pytest.raises(UserError, match="more than 8 images to fit a gate to, found 3"):
        Subspace.fit(np.ones((3, 16), np.float32), 64)


# What is refused


def test_a_lesion_is_accepted(gate, embeddings):
    verdict = gate.check(embeddings[0], upload(lesion(99)))
    assert verdict.accepted
    assert verdict.reason == ""
    assert 0 < verdict.score <= verdict.threshold


@pytest.mark.parametrize(
    "kind", ["black-1", "white-1", "noise-1", "text-1", "landscape-1", "checkerboard-1", "chart-1"]
)
def test_foreign_colours_are_refused_whatever_the_embedding(gate, embeddings, kind):
    data = next(picture.data for picture in drawn(1) if picture.name == kind)
    pixels = read(data)
    verdict = gate.check(embeddings[0], upload(pixels))
    assert not verdict.accepted
    assert verdict.score > verdict.threshold
    assert "colours and texture are unlike those of the 300 lesions" in verdict.reason


def test_a_foreign_embedding_is_refused_whatever_the_colours(gate):
    verdict = gate.check(with_residual(gate, 2), upload(lesion(99)))
    assert not verdict.accepted
    assert "finds something in it that none of the 300 lesions" in verdict.reason
    assert verdict.score == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize("embedding", [np.zeros(32, np.float32), np.full(32, np.nan, np.float32)])
def test_an_embedding_without_direction_is_refused(gate, embedding):
    assert not gate.check(embedding, upload(lesion(99))).accepted


def read(data):
    from core.serving.intake import read_image

    return read_image(data).pixels


# Orientation


@dataclasses.dataclass
class Wavering:
    """An embedding that depends on the orientation: residuals as multiples of the limit, by view."""

    gate: FittedGate
    upright: np.ndarray
    ratios: tuple[float, ...]
    calls: int = 0

    def __call__(self, pixels):
        self.calls += 1
        view = next(k for k in VIEWS if np.array_equal(turn(self.upright, k), pixels))
        return with_residual(self.gate, self.ratios[view])


@pytest.mark.parametrize(
    ("ratios", "accepted"),
    [
        ((1.1, 0.9, 0.9, 0.9, 0.95, 0.95, 0.9, 0.9), True),
        ((0.9, 1.1, 1.1, 1.15, 1.1, 1.1, 1.1, 1.05), False),
    ],
)
def test_near_the_limit_every_orientation_has_the_same_verdict(gate, ratios, accepted):
    pixels = np.ascontiguousarray(lesion(5, (224, 224)))
    for first in VIEWS:
        # The embeddings stay with the views of the scene, whichever of them was uploaded.
        look = Wavering(gate, pixels, ratios)
        seen = np.ascontiguousarray(turn(pixels, first))
        verdict = dataclasses.replace(gate, embed=look).check(look(seen), upload(seen))
        assert verdict.accepted is accepted
        assert look.calls == 8


@pytest.mark.parametrize(("ratio", "accepted"), [(0.5, True), (2.0, False)])
def test_far_from_the_limit_one_look_is_enough(gate, ratio, accepted):
    look = Wavering(gate, lesion(5, (224, 224)), (ratio,) * 8)
    guard = dataclasses.replace(gate, embed=look)
    assert guard.check(with_residual(gate, ratio), upload(lesion(5))).accepted is accepted
    assert look.calls == 0


def test_foreign_colours_need_no_second_look(gate):
    look = Wavering(gate, lesion(5, (224, 224)), (1.0,) * 8)
    guard = dataclasses.replace(gate, embed=look)
    assert not guard.check(with_residual(gate, 1.01), upload(np.zeros((450, 600, 3), np.uint8))).accepted
    assert look.calls == 0


# The file


def test_saved_and_loaded_it_says_the_same(gate, embeddings):
    loaded = FittedGate.from_bytes(gate.to_bytes(), "gate.npz")
    for embedding, pixels in [
        (embeddings[0], lesion(99)),
        (with_residual(gate, 1.5), lesion(99)),
        (embeddings[1], np.zeros((300, 300, 3), np.uint8)),
    ]:
        assert loaded.check(embedding, upload(pixels)) == gate.check(embedding, upload(pixels))
    assert gate.to_bytes() == loaded.to_bytes()


def changed(gate, **arrays):
    """The file with some arrays replaced."""
    import io

    with np.load(io.BytesIO(gate.to_bytes())) as archive:
        found = {**archive, **{name: np.asarray(value) for name, value in arrays.items()}}
    return pack({name: array for name, array in found.items() if array.dtype != object})


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"version": 2}, "run python -m core gate fit"),
        ({"preprocessing": "BGR"}, "run python -m core gate fit"),
        ({"components": np.full((4, 32), np.nan, np.float16)}, "NaN"),
        ({"mean": np.zeros((2, 16), np.float32)}, "1 dimensions"),
        ({"model": np.array(["a", None], object)}, "expected the arrays"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(gate, arrays, said):
    with pytest.raises(ArtifactError, match=said):
        FittedGate.from_bytes(changed(gate, **arrays), "gate.npz")


class Opens:
    """Leaves a mark when somebody unpickles it."""

    def __reduce__(self):
        return mark, ()


OPENED: list[int] = []


def mark() -> None:
    OPENED.append(1)


def test_damaged_bytes_and_pickles_are_refused(gate):
    import io

    pickled = io.BytesIO()
    np.savez(pickled, version=np.array([Opens()], object))
    with pytest.raises(ArtifactError, match="allow_pickle"):
        FittedGate.from_bytes(pickled.getvalue(), "gate.npz")
    assert not OPENED
    for data in (b"", b"PK\x03\x04", gate.to_bytes()[:2000], b"x" * 500):
        with pytest.raises(ArtifactError, match=r"gate\.npz: expected the arrays"):
            FittedGate.from_bytes(data, "gate.npz")


# Which gate stands where


@pytest.fixture
def tiny_gate(appearance, make_artifacts, tiny):
    """A function that ships gates for tiny models: fitted on what the student sees in lesions."""

    def make(*models, **changes):
        folder = make_artifacts(*models, *(["ensemble"] if "densenet169" in models else []))
        seen = np.stack([tiny.expected(to_input(lesion(seed)))["embedding"] for seed in range(40)])
        subspace = Subspace.fit(seen, 4)
        limit = 3 * float(subspace.residual(seen).max())
        manifest = load_manifest(folder)
        (folder / "gate").mkdir(exist_ok=True)
        for name in models:
            sha256 = manifest.files[f"models/{name}.tflite"].sha256
            fitted = FittedGate(name, sha256, 40, subspace, limit, 0.1, appearance, 8.0)
            data = dataclasses.replace(fitted, **changes).to_bytes()
            (folder / f"gate/{name}.npz").write_bytes(data)
            update_shared(folder, {gate_key(name): f"gate/{name}.npz"})
        return folder

    return make


def test_no_gate_is_said(make_artifacts):
    make_artifacts("student")
    registry = Registry.open()
    assert load_gate(registry) is None
    assert load_gate(Registry(None, "nothing")) is None
    assert "this folder has no gate" in Diagnoser.open(registry, "student").note
    assert Diagnoser.open(registry, "student", gate=False).note is None


def test_the_gate_decides_the_status(tiny_gate):
    tiny_gate("student")
    diagnoser = Diagnoser.open(Registry.open(), "student")
    assert diagnoser.note is None
    good = diagnoser.answer(as_png(lesion(123)))
    assert (good.status, good.reason) == (OK, "")
    assert good.verdict.accepted
    black = diagnoser.answer(as_png(np.zeros((300, 400, 3), np.uint8)))
    assert black.status == OUT_OF_DISTRIBUTION
    assert black.reason.startswith("This does not look like a dermatoscopic image")
    assert black.diagnosis is not None
    turned = [diagnoser.answer(as_png(turn(lesion(123), k))).status for k in VIEWS]
    assert turned == [OK] * 8


def test_a_models_own_gate_comes_first_then_the_students(tiny_gate, make_artifacts):
    tiny_gate("student", "student-int8")
    make_artifacts("resnet50", "densenet169", "ensemble")
    registry = Registry.open()
    found = {
        name: load_gate(registry, name).model for name in ("student", "student-int8", "resnet50", "ensemble")
    }
    assert found == {
        "student": "student",
        "student-int8": "student-int8",
        "resnet50": "student",
        "ensemble": "student",
    }
    diagnoser = Diagnoser.open(registry, "resnet50")
    assert diagnoser.answer(as_png(lesion(3))).status == OK
    assert diagnoser.answer(as_png(np.zeros((300, 400, 3), np.uint8))).status == OUT_OF_DISTRIBUTION
    inside = Diagnoser.open(registry, "ensemble").answer(as_png(lesion(3)))
    assert inside.verdict == diagnoser.answer(as_png(lesion(3))).verdict


def test_without_the_student_another_gate_serves(tiny_gate, make_artifacts):
    tiny_gate("student-int8")
    make_artifacts("resnet50")
    assert load_gate(Registry.open(), "resnet50").model == "student-int8"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model_sha256": "f" * 64}, "found the gate of student, sha256 ffffffffffff"),
        ({"model": "resnet50"}, "found the gate of resnet50"),
    ],
)
def test_a_gate_of_another_file_refuses_itself(tiny_gate, changes, said):
    tiny_gate("student", **changes)
    registry = Registry.open()
    with pytest.raises(GateUnavailable, match=said):
        load_gate(registry, "student")
    diagnoser = Diagnoser.open(registry, "student")
    assert diagnoser.gate is None
    assert "images are not checked for being dermatoscopic" in diagnoser.note
    assert "python -m core gate fit" in diagnoser.note
    assert diagnoser.answer(as_png(np.zeros((300, 400, 3), np.uint8))).status == OK


def test_a_gate_with_a_flipped_bit_is_refused_and_named_and_the_model_works(tiny_gate):
    path = tiny_gate("student") / "gate/student.npz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    diagnoser = Diagnoser.open(Registry.open(), "student")
    assert "gate/student.npz" in diagnoser.note
    assert "sha256" in diagnoser.note
    assert diagnoser.answer(as_png(lesion(1))).status == OK


def test_a_damaged_gate_gives_way_to_the_students(tiny_gate):
    folder = tiny_gate("student", "student-int8")
    (folder / "gate/student-int8.npz").unlink()
    assert load_gate(Registry.open(), "student-int8").model == "student"


def test_twenty_threads_load_it_once(tiny_gate, monkeypatch):
    tiny_gate("student")
    loads = []
    original = FittedGate.from_bytes.__func__

    def counted(cls, data, what):
        loads.append(what)
        return original(cls, data, what)

    monkeypatch.setattr(FittedGate, "from_bytes", classmethod(counted))
    registry = Registry.open()
    with ThreadPoolExecutor(20) as pool:
        gates = list(pool.map(lambda _: load_gate(registry, "student"), range(40)))
    assert len({id(gate) for gate in gates}) == 1
    assert loads == ["gate/student.npz"]


# The gate that this project ships


MUST_BE_REFUSED = ("black", "white", "noise", "text", "landscape", "radiograph")


@pytest.fixture(scope="module")
def shipped():
    from core.settings import ROOT

    registry = Registry.open(ROOT / "artifacts")
    if registry.manifest is None or gate_key("student") not in registry.manifest.shared:
        pytest.skip("artifacts/ has no gate: python -m core gate fit makes it")
    diagnoser = Diagnoser.open(registry, "student")
    assert diagnoser.gate is not None, diagnoser.note
    return diagnoser


def test_shipped_gate_refuses_what_it_must(shipped):
    for picture in drawn(2, seed=77):
        if picture.name.rpartition("-")[0] in MUST_BE_REFUSED:
            assert shipped.answer(picture.data).status == OUT_OF_DISTRIBUTION, picture.name


def test_shipped_gate_refuses_photographs(shipped):
    from core.data.foreign import photographs

    statuses = {picture.name: shipped.answer(picture.data).status for picture in photographs()}
    assert len(statuses) >= 4
    accepted = [name for name, status in statuses.items() if status == OK]
    assert len(accepted) <= 0.05 * len(statuses), accepted
    for name in ("sklearn/china.jpg", "skimage/chelsea.png", "skimage/astronaut.png", "pydicom/CT_small"):
        assert statuses.get(name) != OK, name


@pytest.mark.ham10000
@pytest.mark.skipif("DERMDISTILL_DATA" not in os.environ, reason="needs the real dataset")
def test_shipped_gate_keeps_test_images_in_every_orientation(shipped, ham10000):
    from core.data.pixels import decode
    from core.data.splits import assign

    test = ham10000.records["image_id"][assign(ham10000.records) == "test"].iloc[::50]
    statuses = []
    for name in test:
        data = ham10000.read_bytes(name)
        status = shipped.answer(data).status
        statuses.append(status)
        pixels = decode(data, name)
        for k in (0, 1, 6):
            assert shipped.answer(as_png(np.ascontiguousarray(turn(pixels, k)))).status == status, (name, k)
    assert np.mean([status == OK for status in statuses]) >= 0.9
