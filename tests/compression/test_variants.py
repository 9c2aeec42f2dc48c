"""Which files each model gets, and what the manifest says of them."""

import keras
import numpy as np
import pytest

from core.artifacts import load_manifest, update_model
from core.compression import variants
from core.compression.agreement import litert_answers
from core.compression.variants import AUTO, Images, Job, images_for, make, plan
from core.data.ham10000 import open_dataset
from core.data.splits import assign
from core.errors import UserError
from core.lesions import CODES

ENTRY = {"title": "MobileNetV2", "network": "mobilenetv2", "parameters": 5, "commit": "abc", "recipe": {"seed": 3},
         "provenance": {"data": "synthetic"}}  # fmt: skip


@pytest.fixture
def artifacts(tmp_path):
    """A folder with a student, a baseline and a teacher; their weight files are never read here."""
    (tmp_path / "weights").mkdir()
    for name, role in (("student", "student"), ("baseline", "baseline"), ("resnet50", "teacher")):
        (tmp_path / f"weights/{name}.npz").write_bytes(b"weights")
        update_model(tmp_path, name, {**ENTRY, "role": role}, {"weights": f"weights/{name}.npz"})
    return tmp_path


@pytest.fixture
def network(tiny, monkeypatch):
    """What every model's weights turn out to be."""
    model = tiny.tiny_network(size=224)
    monkeypatch.setattr(variants, "load_trained", lambda manifest, name: model)
    return model


@pytest.fixture
def images(tiny):
    rng = np.random.default_rng(0)
    return Images(tiny.images(8, rng, 224), tiny.images(8, rng, 224), "drawn")


@pytest.mark.parametrize(
    ("names", "options", "expected"),
    [
        (["student"], {}, [("float32", "student"), ("float16", "student-fp16"), ("int8", "student-int8")]),
        (["student"], {"kinds": ["dynamic"]}, [("dynamic", "student-dynamic")]),
        (["student-int8"], {}, [("int8", "student-int8")]),
        (["student-int8", "student"], {"kinds": ()}, [("int8", "student-int8"), ("float32", "student"),
                                                      ("float16", "student-fp16")]),
        (["baseline"], {}, [("float16", "baseline")]),
        (["baseline"], {"kinds": ["float32"]}, [("float32", "baseline")]),
        (["resnet50"], {}, [(AUTO, "resnet50")]),
        (["resnet50"], {"every": True}, [(AUTO, "resnet50")]),
        (["student"], {"every": True}, [("float32", "student"), ("float16", "student-fp16"),
                                        ("dynamic", "student-dynamic"), ("int8", "student-int8")]),
    ],
)  # fmt: skip
def test_plan(artifacts, names, options, expected):
    jobs = plan(load_manifest(artifacts), names, **options)
    assert [(job.kind, job.target) for job in jobs] == expected
    assert {job.source for job in jobs} == {names[-1].removesuffix("-int8")}


def test_a_model_with_weights_of_its_own_is_no_variant_whatever_its_name(artifacts):
    (artifacts / "weights/other.npz").write_bytes(b"others")
    update_model(artifacts, "student-int8", {**ENTRY, "role": "baseline"}, {"weights": "weights/other.npz"})
    jobs = plan(load_manifest(artifacts), ["student-int8"])
    assert [(job.source, job.target) for job in jobs] == [("student-int8", "student-int8")]


def test_without_names_every_model_with_weights_is_planned(artifacts):
    update_model(artifacts, "ensemble", {"title": "E", "role": "ensemble", "members": ["student"]})
    assert [job.target for job in plan(load_manifest(artifacts))] == [
        "student", "student-fp16", "student-int8", "baseline", "resnet50",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("names", "kinds", "message"),
    [
        (["student"], ["int4"], "expected one of float32, .*'int4'"),
        (["resnet50"], ["float16", "int8"], "expected one kind, .*found float16, int8"),
        (["vgg"], [], "expected one of the models student, .*'vgg'"),
        (["vgg-int8"], [], "'vgg-int8'"),
    ],
)
def test_plans_that_cannot_be(artifacts, names, kinds, message):
    with pytest.raises(UserError, match=message):
        plan(load_manifest(artifacts), names, kinds)


def test_an_empty_folder_says_how_to_fill_it(tmp_path):
    update_model(tmp_path, "ensemble", {"title": "E", "role": "ensemble", "members": ["student"]})
    with pytest.raises(UserError, match="found none; train one"):
        plan(load_manifest(tmp_path))


def test_a_variant_is_entered_with_its_parentage(artifacts, network, images):
    made = make(load_manifest(artifacts), Job("student", "int8", "student-int8"), images)
    manifest = load_manifest(artifacts)
    entry = manifest.model("student-int8")
    assert (entry.role, entry.parent, entry.network, entry.parameters) == (
        "variant",
        "student",
        "mobilenetv2",
        5,
    )
    assert entry.title == "MobileNetV2, int8"
    assert entry.recipe == ENTRY["recipe"]
    assert manifest.files["models/student-int8.tflite"].format == "litert-int8"
    assert manifest.files["models/student-int8.tflite"].bytes == made.bytes == made.path.stat().st_size
    record = entry.provenance["compression"]
    assert (record["kind"], record["images"], record["calibration_images"]) == ("int8", "drawn", 8)
    assert record["agreement_with_keras_on_validation"]["same_class"] == made.agreement.same_class
    assert entry.provenance["data"] == "synthetic"
    found = litert_answers(made.path, images.check[:2])["logits"]
    expected = network.predict(images.check[:2].astype(np.float32), verbose=0)
    assert np.abs(found - expected).max() < 0.5
    assert "weights" not in entry.files


def test_a_conversion_that_fails_leaves_the_old_file_in_its_place(artifacts, network, images, monkeypatch):
    job = Job("student", "int8", "student-int8")
    path = make(load_manifest(artifacts), job, images).path
    before = path.read_bytes()

    def fail(*_: object) -> None:
        assert path.read_bytes() == before, "while the new one is measured"
        raise KeyboardInterrupt

    monkeypatch.setattr(variants, "layer_errors", fail)
    with pytest.raises(KeyboardInterrupt):
        make(load_manifest(artifacts), job, images)
    manifest = load_manifest(artifacts)
    assert manifest.read("models/student-int8.tflite") == before
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_another_file_of_a_kind_drops_what_was_measured(artifacts, network, images):
    job = Job("student", "int8", "student-int8")
    make(load_manifest(artifacts), job, images)
    update_model(artifacts, "student-int8", {"calibration": {"temperature": 1.5}})
    make(load_manifest(artifacts), job, images)
    assert load_manifest(artifacts).model("student-int8").temperature == 1.5, "the same file, made again"
    darker = Images(images.calibration // 2, images.check, images.source)
    make(load_manifest(artifacts), job, darker)
    assert load_manifest(artifacts).model("student-int8").temperature == 1.0


def test_another_file_leaves_nothing_that_was_measured_with_the_old_one(artifacts, network, images):
    """Neither an ensemble that it is a member of nor what others were compared with stays as it was."""
    measured = {"figures": {"test": {}}, "calibration": {"temperature": 1.5}}
    pairs = [{"second": "baseline"}, {"second": "resnet50"}]
    compared = {"figures": {"test": {}, "agreement": {}, "comparisons": pairs}}
    update_model(
        artifacts,
        "ensemble",
        {"title": "E", "role": "ensemble", "members": ["student", "baseline"], **measured},
    )
    update_model(artifacts, "student", compared)
    update_model(artifacts, "thin", {"title": "V", "role": "variant", "parent": "baseline", **compared})
    make(load_manifest(artifacts), Job("baseline", "float16", "baseline"), None)
    manifest = load_manifest(artifacts)
    assert (manifest.model("ensemble").figures, manifest.model("ensemble").temperature) == ({}, 1.0)
    assert manifest.model("student").figures == {"test": {}, "agreement": {}, "comparisons": pairs[1:]}
    assert manifest.model("thin").figures == {"test": {}, "comparisons": pairs[1:]}
    update_model(artifacts, "ensemble", measured)
    make(load_manifest(artifacts), Job("baseline", "float16", "baseline"), None)
    assert load_manifest(artifacts).model("ensemble").temperature == 1.5, "the same file, made again"


def test_weights_that_were_published_meanwhile_get_no_file_of_the_old_ones(
    artifacts, network, images, monkeypatch
):
    weights = artifacts / load_manifest(artifacts).model("baseline").files["weights"]
    convert = variants._convert

    def slow(*arguments):
        weights.write_bytes(b"new")
        update_model(artifacts, "baseline", {}, {"weights": weights.relative_to(artifacts).as_posix()})
        return convert(*arguments)

    monkeypatch.setattr(variants, "_convert", slow)
    with pytest.raises(UserError, match="baseline: expected the weights that this was made of, found others"):
        make(load_manifest(artifacts), Job("baseline", "float16", "baseline"), None)
    assert "litert" not in load_manifest(artifacts).model("baseline").files
    assert not list((artifacts / "models").glob("*"))


def test_the_models_own_file_keeps_what_was_measured_until_it_changes(artifacts, network, images):
    job = Job("baseline", "float16", "baseline")
    make(load_manifest(artifacts), job, None)
    (artifacts / "baseline.parquet").write_bytes(b"logits")
    measured = {"calibration": {"temperature": 1.5}, "figures": {"test": {}}}
    update_model(artifacts, "baseline", measured, {"predictions": "baseline.parquet"})
    make(load_manifest(artifacts), job, None)
    assert load_manifest(artifacts).model("baseline").temperature == 1.5
    assert "predictions" in load_manifest(artifacts).model("baseline").files
    before = (artifacts / "models/baseline.tflite").read_bytes()
    with pytest.raises(UserError, match="baseline: expected the file that was evaluated, found another one"):
        make(load_manifest(artifacts), Job("baseline", "float32", "baseline"), None)
    assert (artifacts / "models/baseline.tflite").read_bytes() == before
    assert [p.name for p in (artifacts / "models").iterdir()] == ["baseline.tflite"]
    assert load_manifest(artifacts).model("baseline").temperature == 1.5
    make(load_manifest(artifacts), Job("baseline", "float32", "baseline"), images)
    entry = load_manifest(artifacts).model("baseline")
    assert (entry.temperature, entry.figures, entry.role) == (1.0, {}, "baseline")
    assert sorted(entry.files) == ["litert", "weights"]
    assert entry.provenance["compression"]["kind"] == "float32"


def test_the_same_file_made_again_without_images_keeps_its_agreement(artifacts, network, images):
    job = Job("student", "float32", "student")

    def made(images):
        make(load_manifest(artifacts), job, images)
        return load_manifest(artifacts).models["student"].provenance["compression"]

    measured = made(images)
    assert measured["agreement_with_keras_on_validation"]["images"] == 8
    assert made(None) == measured
    network.get_layer("logits").bias.assign_add(np.ones(7, np.float32))
    assert made(None) == {"kind": "float32"}


@pytest.mark.parametrize(("least", "kind"), [(0.0, "dynamic"), (1.1, "float16")])
def test_a_teacher_is_dynamic_only_where_that_keeps_its_answers(
    artifacts, network, images, monkeypatch, least, kind
):
    monkeypatch.setattr(variants, "SMALL_ENOUGH_CHANGE", least)
    made = make(load_manifest(artifacts), Job("resnet50", AUTO, "resnet50"), images)
    manifest = load_manifest(artifacts)
    assert made.kind == kind
    assert manifest.files["models/resnet50.tflite"].format == f"litert-{kind}"
    assert [path.name for path in (artifacts / "models").iterdir()] == ["resnet50.tflite"]
    manifest.read("models/resnet50.tflite")


def test_without_images_a_teacher_is_float16_and_int8_is_refused(artifacts, network):
    assert make(load_manifest(artifacts), Job("resnet50", AUTO, "resnet50"), None).kind == "float16"
    with pytest.raises(UserError, match="student-int8: expected HAM10000 to calibrate int8"):
        make(load_manifest(artifacts), Job("student", "int8", "student-int8"), None)
    assert not (artifacts / "models/student-int8.tflite").exists()


def test_calibration_sees_all_classes_of_training_and_never_test(small_folder):
    dataset = open_dataset(small_folder)
    parts = assign(dataset.records)
    asked = []

    class Watched:
        records, is_synthetic = dataset.records, False

        def read_bytes(self, image_id):
            asked.append(image_id)
            return dataset.read_bytes(image_id)

    found = images_for(Watched(), "lesion", per_class=3, check=5)
    part = dict(zip(dataset.records["image_id"], parts, strict=True))
    label = dict(zip(dataset.records["image_id"], dataset.records["dx"], strict=True))
    assert found.calibration.shape == (21, 224, 224, 3)
    assert found.check.shape == (5, 224, 224, 3)
    assert {part[i] for i in asked[:21]} == {"train"}
    assert {part[i] for i in asked[21:]} == {"validation"}
    assert sorted(label[i] for i in asked[:21]) == sorted(list(CODES) * 3)
    assert len(set(asked)) == 26
    assert found.source == "HAM10000, lesion split"


def test_a_pruned_student_gets_int8_under_its_own_name(artifacts):
    (artifacts / "weights/student-pruned.npz").write_bytes(b"weights")
    entry = {**ENTRY, "role": "variant", "parent": "student", "widths": {"Conv1": 8}}
    update_model(artifacts, "student-pruned", entry, {"weights": "weights/student-pruned.npz"})
    manifest = load_manifest(artifacts)
    assert plan(manifest, ["student-pruned"]) == [Job("student-pruned", "int8", "student-pruned")]
    assert Job("student-pruned", "int8", "student-pruned") in plan(manifest)


def test_trained_weights_come_back_checked(tmp_path, tiny, monkeypatch):
    from core.artifacts import ArtifactError
    from core.networks import trained
    from core.networks.weights import save_weights

    model = tiny.tiny_network()
    monkeypatch.setattr(trained, "build", lambda network, size, widths: tiny.tiny_network(size=size, seed=9))
    save_weights(model, tmp_path / "weights/student.npz", "mobilenetv2")
    update_model(tmp_path, "student", {**ENTRY, "role": "student"}, {"weights": "weights/student.npz"})
    found = trained.load_trained(load_manifest(tmp_path), "student", size=32)
    for mine, saved in zip(found.weights, model.weights, strict=True):
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(mine), keras.ops.convert_to_numpy(saved), rtol=1e-3
        )
    update_model(tmp_path, "student-int8", {**ENTRY, "role": "variant", "parent": "student"})
    with pytest.raises(UserError, match=r"student-int8: expected Keras weights.*use its parent student"):
        trained.load_trained(load_manifest(tmp_path), "student-int8")
    data = bytearray((tmp_path / "weights/student.npz").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "weights/student.npz").write_bytes(data)
    with pytest.raises(ArtifactError, match="expected sha256"):
        trained.load_trained(load_manifest(tmp_path), "student")
