"""Which models can be used and why the others cannot; a damaged one refuses itself alone."""

import json
import os

import pytest

from core.artifacts import update_model
from core.serving.registry import KNOWN, ModelUnavailable, Registry, shared_registry


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def test_states_of_a_whole_folder(make_artifacts):
    registry = Registry.open(make_artifacts("resnet50", "densenet169", "student", "ensemble", "unnamed"))
    states = {state.name: state for state in registry.states()}
    assert list(states) == [*KNOWN, "unnamed"]
    assert registry.usable() == ("resnet50", "densenet169", "student", "ensemble", "unnamed")
    assert states["student"].entry.name == "student"
    assert states["baseline"].absent
    assert states["baseline"].reason.startswith("model baseline is not in ")
    assert states["baseline"].command == KNOWN["baseline"].command
    assert states["unnamed"].command is None


def test_a_trained_model_without_a_file_to_run_wants_conversion_and_no_new_training(tmp_path):
    from core.artifacts import ModelEntry, update_model

    (tmp_path / "fresh.npz").write_bytes(b"weights")
    for name in ("student", "fresh"):
        update_model(tmp_path, name, ModelEntry(name, name, "student"), {"weights": "fresh.npz"})
        command = f"python -m core compress --model {name}"
        registry = Registry.open(tmp_path)
        assert registry.state(name).command == command
        with pytest.raises(ModelUnavailable, match=f"make it with: {command}"):
            registry.get(name)


def test_what_is_damaged_is_converted_or_restored_and_not_trained_again(make_artifacts):
    folder = make_artifacts("student")
    (folder / "w.npz").write_bytes(b"w")
    update_model(folder, "student", {}, {"weights": "w.npz"})
    (folder / "models/student.tflite").write_bytes(b"")
    with pytest.raises(ModelUnavailable, match=r"make it with: python -m core compress --model student$"):
        Registry.open(folder).get("student")
    (folder / "manifest.json").write_text("{")
    with pytest.raises(ModelUnavailable) as error:
        Registry.open(folder).get("student")
    assert "make it with" not in str(error.value)


@pytest.mark.parametrize("damage", [flip, lambda path: path.unlink(), lambda path: path.write_bytes(b"")])
def test_damaged_file_refuses_its_model_alone(make_artifacts, images, damage):
    folder = make_artifacts("resnet50", "densenet169", "student", "ensemble")
    damage(folder / "models/densenet169.tflite")
    registry = Registry.open(folder)
    assert registry.usable() == ("resnet50", "student")
    states = {state.name: state for state in registry.states()}
    assert "models/densenet169.tflite" in states["densenet169"].reason
    assert not states["densenet169"].absent
    assert "models/densenet169.tflite" in states["ensemble"].reason
    for name in ("densenet169", "ensemble"):
        with pytest.raises(
            ModelUnavailable, match=r"densenet169\.tflite: expected .*make it with: python -m core"
        ) as error:
            registry.get(name)
        assert str(error.value).count("make it with") == 1
    for name in ("resnet50", "student"):
        assert registry.get(name).classify(images[0]).model == name


def test_file_with_its_hash_but_no_model_in_it(make_artifacts, tmp_path, images):
    from core.artifacts import update_model

    folder = make_artifacts("student", "resnet50")
    (folder / "models/student.tflite").write_bytes(b"nonsense" * 100)
    update_model(folder, "student", {}, {"litert": "models/student.tflite"})
    registry = Registry.open(folder)
    with pytest.raises(ModelUnavailable, match="model student: expected a LiteRT model"):
        registry.get("student")
    assert registry.get("resnet50").classify(images[0]).model == "resnet50"


def test_restored_file_works_again(make_artifacts, tiny, images):
    folder = make_artifacts("student")
    registry = Registry.open(folder)
    path = folder / "models/student.tflite"
    flip(path)
    assert not registry.state("student").usable
    with pytest.raises(ModelUnavailable):
        registry.get("student")
    path.write_bytes(tiny.files["student"])
    os.utime(path, (1, 1))
    assert registry.state("student").usable
    assert registry.get("student").classify(images[0]).model == "student"


def test_loaded_model_outlives_its_file(make_artifacts, images):
    folder = make_artifacts("student")
    registry = Registry.open(folder)
    before = registry.get("student").classify(images[0])
    flip(folder / "models/student.tflite")
    assert registry.get("student").classify(images[0]).logits.tolist() == before.logits.tolist()
    assert registry.state("student").usable


def test_entry_of_another_class_order_is_refused_alone(make_artifacts):
    folder = make_artifacts("student", "resnet50")
    path = folder / "manifest.json"
    raw = json.loads(path.read_text())
    raw["models"]["student"]["classes"].reverse()
    path.write_text(json.dumps(raw))
    registry = Registry.open(folder)
    assert registry.usable() == ("resnet50",)
    with pytest.raises(ModelUnavailable, match="expected the classes akiec"):
        registry.get("student")


@pytest.mark.parametrize(
    ("text", "message"), [(None, "found no manifest"), ("{", "damaged"), ("{}", "version 1")]
)
def test_folder_without_a_usable_manifest(make_artifacts, text, message):
    folder = make_artifacts("student")
    path = folder / "manifest.json"
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    registry = Registry.open(folder)
    states = registry.states()
    assert [state.name for state in states] == list(KNOWN)
    assert all(message in state.reason and state.absent for state in states)
    assert {bool(state.command) for state in states} == {text is None}, "what is damaged is restored"
    with pytest.raises(ModelUnavailable, match=message):
        registry.get("student")


def test_unknown_name(make_artifacts):
    registry = Registry.open(make_artifacts("student"))
    with pytest.raises(ModelUnavailable, match=r"expected one of the models student, found 'x/\.\./y'$"):
        registry.get("x/../y")


def test_ensemble_of_ensembles_is_refused(make_artifacts):
    from core.artifacts import ModelEntry, update_model

    folder = make_artifacts("resnet50", "densenet169", "student", "ensemble")
    update_model(folder, "twice", ModelEntry("twice", "Twice", "ensemble", members=("ensemble", "back")))
    update_model(folder, "back", ModelEntry("back", "Back", "ensemble", members=("twice",)))
    registry = Registry.open(folder)
    for name in ("twice", "back"):
        assert "expected members that are no ensembles" in registry.state(name).reason
        with pytest.raises(ModelUnavailable, match="no ensembles"):
            registry.get(name)


def test_shared_registry_follows_the_manifest(make_artifacts):
    folder = make_artifacts("student")
    first = shared_registry(folder)
    assert shared_registry() is first
    student = first.get("student")
    assert shared_registry(folder).get("student") is student
    make_artifacts("resnet50")
    second = shared_registry(folder)
    assert second is not first
    assert second.usable() == ("resnet50", "student")
