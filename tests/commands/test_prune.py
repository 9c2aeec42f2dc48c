"""`python -m core prune`, from its arguments to the shipped file, on a tiny network and a tiny dataset."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from core.__main__ import main
from core.artifacts import load_manifest, update_model
from core.compression import pruning
from core.data.synthetic import make_dataset
from core.evaluation.compressed import Curves, Point, add_points, read_curves
from core.evaluation.origin import DATA_NOTE, SYNTHETIC_NOTE
from core.networks import trained
from core.networks.classifiers import narrowed
from core.networks.trained import load_trained
from core.networks.weights import save_weights
from core.training import launch, taught_by

TINY = Path(__file__).parents[1] / "networks" / "tiny_network.py"
QUICK = ["--stages", "1x32", "--workers", "0", "--set", "batch_size=16", "--set", "ema=null"]
PRUNE = ["prune", "--images", "3", *QUICK]
FOLDER = "student-channels-600-600-taylor"


@pytest.fixture(scope="module")
def network():
    """A function that builds the tiny network as `core.networks.classifiers.build` would."""
    spec = importlib.util.spec_from_file_location("tiny_for_prune", TINY)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def build(name, *, init=None, size=None, widths=None):
        whole = module.tiny_network(hidden=64, size=size, channels=64)
        return narrowed(whole, widths) if widths else whole

    return build


def use(place: Path, patch: pytest.MonkeyPatch, network) -> None:
    """Everything that the commands read and write lies in `place`; networks are tiny, timing is short."""
    patch.setenv("DERMDISTILL_DATA", str(place / "HAM10000"))
    for name in ("ARTIFACTS", "CACHE", "RUNS"):
        patch.setenv(f"DERMDISTILL_{name}", str(place / name.lower()))
    for module in (launch, taught_by, trained, pruning):
        patch.setattr(module, "build", network)
    patch.setattr("core.compression.measuring.ROUNDS", 2)
    patch.setattr("core.compression.magnitude.SMALLEST_KERNEL", 200)


@pytest.fixture(scope="module")
def ready(small_set, tmp_path_factory, network) -> Path:
    """A dataset, a teacher and its student, trained once."""
    folder = tmp_path_factory.mktemp("ready")
    small_set.write_flat(folder / "HAM10000")
    with pytest.MonkeyPatch.context() as patch:
        use(folder, patch, network)
        assert main(["train", "--network", "resnet50", *QUICK]) == 0
        assert main(["distill", "--teachers", "resnet50", "--teacher-size", "32", *QUICK]) == 0
    return folder


@pytest.fixture
def place(ready, tmp_path, monkeypatch, network) -> Path:
    """A copy of it."""
    shutil.copytree(ready, tmp_path / "place")
    use(tmp_path / "place", monkeypatch, network)
    return tmp_path / "place"


def test_both_ways_then_the_best_is_shipped(place, capsys):
    assert main([*PRUNE, "--multiply-adds", "0.6", "--sparsity", "0.5"]) == 0
    manifest = load_manifest(place / "artifacts")
    assert set(manifest.models) == {"resnet50", "student"}, "nothing is shipped unasked"
    curves = read_curves(manifest)
    whole, channels, magnitude = curves.points
    assert (channels.method, channels.share, magnitude.method) == ("channels", 0.6, "magnitude")
    assert (
        curves.images == json.loads((place / f"runs/{FOLDER}/run.json").read_text())["images"]["validation"]
    )
    assert channels.multiply_adds <= 0.6 * whole.multiply_adds == 0.6 * magnitude.multiply_adds
    assert channels.bytes < whole.bytes
    assert channels.weights < whole.weights
    assert magnitude.weights < 0.7 * whole.weights
    assert magnitude.compressed_bytes < whole.compressed_bytes

    trained_at = (place / f"runs/{FOLDER}/best.npz").stat().st_mtime_ns
    assert main([*PRUNE, "--ship", "0.6"]) == 0
    assert (place / f"runs/{FOLDER}/best.npz").stat().st_mtime_ns == trained_at, "not trained again"
    manifest = load_manifest(place / "artifacts")
    entry = manifest.model("student-pruned")
    assert (entry.role, entry.parent, entry.network) == ("variant", "student", "mobilenetv2")
    assert entry.provenance["teachers"] == ["resnet50"]
    assert entry.provenance["pruning"]["share"] == 0.6
    assert "pruned" in entry.provenance["initial_weights"]
    assert manifest.files[entry.files["litert"]].format == "litert-int8"
    assert manifest.files[entry.files["litert"]].bytes == channels.bytes
    assert "layers" in entry.files
    assert all(manifest.read(path) for path in entry.files.values())
    assert len(read_curves(manifest).points) == 3
    assert "published as student-pruned" in capsys.readouterr().out


def test_the_shipped_network_can_be_built_from_the_artifacts_alone(place):
    assert main([*PRUNE, "--ship", "0.6"]) == 0
    manifest = load_manifest(place / "artifacts")
    widths = dict(manifest.model("student-pruned").widths)
    plan = json.loads((place / f"runs/{FOLDER}/pruning.json").read_text())
    assert widths == {layer: len(kept) for layer, kept in plan["kept"].items()}
    network = load_trained(manifest, "student-pruned", size=64)
    for layer, width in widths.items():
        assert network.get_layer(layer).output.shape[-1] == width
    assert network.count_params() == manifest.model("student-pruned").parameters
    assert np.isfinite(network.predict(np.full((1, 64, 64, 3), 99.0), verbose=0)).all()
    (teacher,) = taught_by.load_teachers(["student-pruned"])
    assert teacher.network.count_params() == network.count_params(), "it may teach as well"


def refused(place: Path, capsys: pytest.CaptureFixture, options: list[str], said: str) -> None:
    """The command says so, and the artifacts stay as they are."""
    before = (place / "artifacts/manifest.json").read_bytes()
    capsys.readouterr()
    assert main([*PRUNE, *options]) == 2
    assert said in capsys.readouterr().err
    assert (place / "artifacts/manifest.json").read_bytes() == before


def entered(folder: Path, name: str, data: str) -> None:
    """A model says that it was made from `data`."""
    entry = load_manifest(folder).models.get(name)
    whole = {} if entry else {"title": name, "role": "variant"}
    update_model(folder, name, whole | {"provenance": {**(entry.provenance if entry else {}), "data": data}})


@pytest.mark.parametrize(
    ("student", "other", "options", "said"),
    [
        (DATA_NOTE, None, ["--sparsity", "0.5"], "student: expected HAM10000 in"),
        (SYNTHETIC_NOTE, "student-pruned", ["--ship", "0.6"], "student-pruned: expected HAM10000 in"),
        (SYNTHETIC_NOTE, "curves", ["--sparsity", "0.5"], "compression.json: expected HAM10000 in"),
    ],
    ids=["model", "name", "curves"],
)
def test_drawn_lesions_replace_nothing_of_photographs(
    place, capsys, monkeypatch, student, other, options, said
):
    drawn = make_dataset(place / "drawn", total=70, size=(64, 48), workers=1)
    monkeypatch.setenv("DERMDISTILL_DATA", str(drawn))
    entered(place / "artifacts", "student", student)
    if other == "curves":
        whole = Point("whole", 1.0, 0.8, 0.7, 9, 9, 9, 9, 1.0, 1.0)
        add_points(place / "artifacts", Curves("resnet50", "0" * 64, 14, "here", (whole,)))
    elif other:
        entered(place / "artifacts", other, DATA_NOTE)
    refused(place, capsys, options, said)
    assert not list((place / "runs").glob("student-*")), "refused before the training"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--ship", "0.6", "--name", "student"], "that of a pruned network, found student, a student in"),
        (["--ship", "0.6", "--name", "resnet50"], "found resnet50, a teacher in"),
        (["--sparsity", "0.5", "--model", "resnet50"], "expected curves of resnet50, found those of student"),
    ],
)  # fmt: skip
def test_what_is_there_is_not_lost(place, capsys, options, said):
    whole = Point("whole", 1.0, 0.8, 0.7, 9, 9, 9, 9, 1.0, 1.0)
    add_points(place / "artifacts", Curves("student", "0" * 64, 14, "here", (whole,)))
    refused(place, capsys, options, said)
    assert not list((place / "runs").glob("*-channels-*")), "refused before the training"


def test_a_try_on_drawn_lesions_is_free(place, monkeypatch):
    drawn = make_dataset(place / "drawn", total=70, size=(64, 48), workers=1)
    monkeypatch.setenv("DERMDISTILL_DATA", str(drawn))
    before = (place / "artifacts/manifest.json").read_bytes()
    assert main([*PRUNE, "--sparsity", "0.5", "--limit", "14"]) == 0
    assert (place / "artifacts/manifest.json").read_bytes() == before


def test_where_its_teachers_are_gone_others_are_asked_for(place, capsys):
    """As in a fresh clone, whose student was taught by runs that no clone has."""
    shutil.rmtree(place / "runs/resnet50")
    path = place / "artifacts/manifest.json"
    raw = json.loads(path.read_text())
    del raw["models"]["resnet50"]
    path.write_text(json.dumps(raw))
    capsys.readouterr()
    assert main([*PRUNE, "--sparsity", "0.5"]) == 2
    said = capsys.readouterr().err
    assert "student was taught by resnet50: expected it in" in said
    assert f"{place / 'runs'}, found it in neither" in said
    assert "--teachers student" in said
    assert main([*PRUNE, "--sparsity", "0.5", "--teachers", "resnet50"]) == 2
    assert "teacher resnet50: expected one of the models student of" in capsys.readouterr().err
    assert main([*PRUNE, "--sparsity", "0.5", "--teachers", "student"]) == 0


def test_a_try_with_a_limit_leaves_the_artifacts_alone(place, capsys):
    before = (place / "artifacts/manifest.json").read_bytes()
    assert main([*PRUNE, "--ship", "0.6", "--limit", "14"]) == 0
    assert "times as long as the whole network" in capsys.readouterr().out
    assert (place / "artifacts/manifest.json").read_bytes() == before


def test_what_learned_on_another_split_is_not_pruned(place, capsys):
    capsys.readouterr()
    assert main([*PRUNE, "--multiply-adds", "0.6", "--set", "split=report", "--no-publish"]) == 2
    assert "model student: expected one trained on the report split" in capsys.readouterr().err


def test_one_image_has_no_statistics(place, capsys):
    assert main([*PRUNE, "--multiply-adds", "0.6", "--limit", "1"]) == 2
    assert "expected at least 2 training images, found 1" in capsys.readouterr().err


def test_the_network_itself_may_teach_what_is_left_of_it(place):
    assert main([*PRUNE, "--ship", "0.6", "--teachers", "student,resnet50", "--alpha", "0.25"]) == 0
    entry = load_manifest(place / "artifacts").model("student-pruned")
    assert entry.recipe["distillation"]["teachers"] == ["student", "resnet50"]
    assert entry.recipe["distillation"]["alpha"] == 0.25
    assert entry.recipe["distillation"]["temperature"] == 2.0, "everything else as its parent learned"
    assert entry.recipe["served_statistics"] is True
    assert entry.recipe["distillation"]["teacher_statistics"] == "views"
    assert entry.provenance["teachers"] == ["student", "resnet50"]


@pytest.mark.parametrize("helps", [True, False])
def test_of_several_fine_tunings_the_mean_is_shipped_where_it_is_as_good(place, monkeypatch, helps):
    scores = iter([1.0, 0.5, 1.0 if helps else 0.9])  # of the first, the second, and their mean
    monkeypatch.setattr(pruning, "validation_of", lambda network, data: lambda: {"val_loss": next(scores)})
    monkeypatch.setattr("core.training.soup.score", lambda figures: figures["val_loss"])
    assert main([*PRUNE, "--ship", "0.6", "--alpha", "0.9", "--alpha", "0.2"]) == 0
    entry = load_manifest(place / "artifacts").model("student-pruned")
    folders = [place / f"runs/{FOLDER}-alpha{alpha}" for alpha in ("0.9", "0.2")]
    alone = [np.load(folder / "best.npz") for folder in folders]
    shipped = np.load(place / "artifacts" / entry.files["weights"])
    name = next(key for key in shipped.files if key.endswith("logits/bias"))
    wanted = np.mean([one[name] for one in alone], axis=0) if helps else alone[0][name]
    assert shipped[name] == pytest.approx(wanted, rel=1e-3)
    parts = entry.provenance.get("mean_of", [])
    assert [part["name"] for part in parts] == ([folder.name for folder in folders] if helps else [])
    assert entry.recipe["distillation"]["alpha"] == 0.9
    assert len(read_curves(load_manifest(place / "artifacts")).points) == 2


@pytest.fixture
def shipped(place) -> Path:
    """With a pruned network that is published."""
    assert main([*PRUNE, "--ship", "0.6"]) == 0
    return place


def judged(monkeypatch: pytest.MonkeyPatch, *scores: float) -> None:
    """Validation gives these, one after the other."""
    left = iter(scores)
    monkeypatch.setattr(pruning, "validation_of", lambda network, data: lambda: {"val_loss": next(left)})
    monkeypatch.setattr("core.training.soup.score", lambda figures: figures["val_loss"])


@pytest.mark.parametrize("helps", [True, False])
def test_a_published_pruned_network_goes_further(shipped, monkeypatch, capsys, helps):
    before = load_manifest(shipped / "artifacts").model("student-pruned")
    old = dict(np.load(shipped / "artifacts" / before.files["weights"]))
    judged(monkeypatch, 1.0, 0.5, 1.0 if helps else 0.9)  # the run's, the old one's, their mean's
    assert main([*PRUNE, "--ship", "0.6", "--further", "--stages", "2x32"]) == 0
    manifest = load_manifest(shipped / "artifacts")
    entry = manifest.model("student-pruned")
    assert entry.widths == before.widths
    assert entry.provenance["pruning"] == before.provenance["pruning"]
    assert entry.provenance["epochs_before"] == 1
    assert "those of student-pruned" in entry.provenance["initial_weights"]
    assert "pruned" in entry.provenance["initial_weights"].split("which began with")[1]
    run = dict(np.load(shipped / f"runs/{FOLDER}-further/best.npz"))
    new = dict(np.load(shipped / "artifacts" / entry.files["weights"]))
    name = next(key for key in new if key.endswith("logits/kernel"))
    assert not np.array_equal(run[name], old[name])
    wanted = (run[name].astype(np.float32) + old[name]) / 2 if helps else run[name]
    np.testing.assert_allclose(new[name], wanted, rtol=2e-3, atol=1e-4)
    points = {point.method: point for point in read_curves(manifest).points}
    assert points["channels"].epochs == 3, "those before count, too"
    assert "student-pruned: loss" in capsys.readouterr().out


def test_what_is_no_better_than_before_changes_nothing(shipped, monkeypatch, capsys):
    files = ("manifest.json", "weights/student-pruned.npz", "compression.json")
    before = [(shipped / "artifacts" / file).read_bytes() for file in files]
    judged(monkeypatch, 0.5, 1.0, 0.9)
    assert main([*PRUNE, "--ship", "0.6", "--further"]) == 2
    assert "better on validation than student-pruned" in capsys.readouterr().err
    assert [(shipped / "artifacts" / file).read_bytes() for file in files] == before


def test_going_further_can_be_tried_out(shipped, monkeypatch, capsys):
    judged(monkeypatch, 0.5, 1.0, 0.9)  # as it would be told apart, were it not a trial
    assert main([*PRUNE, "--ship", "0.6", "--further", "--limit", "16"]) == 0
    assert "nothing was changed" not in capsys.readouterr().err


def test_what_was_published_meanwhile_is_said(shipped, monkeypatch, capsys):
    judged(monkeypatch, 1.0, 0.5, 0.9)
    assert main([*PRUNE, "--ship", "0.6", "--further"]) == 0
    assert main([*PRUNE, "--ship", "0.6", "--further"]) == 2
    assert (
        "found one from other weights; where student-pruned is what that run gave" in capsys.readouterr().err
    )


def test_a_pruned_network_is_not_pruned_again(shipped, capsys):
    arguments = ["--model", "student-pruned", "--teachers", "student", "--no-publish"]
    assert main([*PRUNE, *arguments, "--multiply-adds", "0.5"]) == 2
    assert "expected a whole network, found one that was pruned from student" in capsys.readouterr().err


def test_further_and_further(shipped, monkeypatch):
    judged(monkeypatch, 1.0, 0.5, 0.9, 1.0, 0.5, 0.9)
    for _ in range(2):
        assert main([*PRUNE, "--ship", "0.6", "--further", "--restart"]) == 0
    assert load_manifest(shipped / "artifacts").model("student-pruned").provenance["epochs_before"] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sparsity", "0.8", "--size", "0.5"], "--size: expected it with --multiply-adds or --ship"),
        (["--sparsity", "0.8", "--score", "scale"], "--score: expected it with --multiply-adds or --ship"),
        (["--multiply-adds", "0.5", "--name", "mine"], "--name: expected it with --ship"),
    ],
)
def test_options_that_would_do_nothing_are_refused(place, capsys, arguments, message):
    refused(place, capsys, arguments, message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ship", "0.5"], "expected one that was pruned from student to"),
        (["--ship", "0.6", "--score", "scale"], "expected one that was pruned from student to"),
        (["--ship", "0.6", "--name", "nobody"], "nobody"),
        (["--multiply-adds", "0.6"], "--further: expected it with --ship alone"),
        (["--ship", "0.6", "--sparsity", "0.5"], "--further: expected it with --ship alone"),
    ],
)
def test_nothing_else_goes_further(shipped, capsys, arguments, message):
    capsys.readouterr()
    assert main([*PRUNE, *arguments, "--further"]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_run_of_other_weights_is_not_gone_on_with(place, capsys):
    assert main([*PRUNE, "--multiply-adds", "0.6"]) == 0
    manifest = load_manifest(place / "artifacts")
    network = load_trained(manifest, "student", size=None)
    network.get_layer("logits").bias.assign(keras.ops.ones(7))
    save_weights(network, place / "artifacts/weights/student.npz", "mobilenetv2")
    update_model(place / "artifacts", "student", {}, {"weights": "weights/student.npz"})
    capsys.readouterr()
    assert main([*PRUNE, "--multiply-adds", "0.6"]) == 2
    assert "start afresh with --restart" in capsys.readouterr().err
    assert main([*PRUNE, "--multiply-adds", "0.6", "--restart"]) == 0
    assert len(read_curves(load_manifest(place / "artifacts")).points) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected what to prune to"),
        (["--multiply-adds", "1.2"], "channels: expected a share between 0 and 1"),
        (["--sparsity", "0"], "magnitude: expected a share between 0 and 1"),
        (["--multiply-adds", "0.5", "--score", "luck"], "score: expected one of taylor, scale"),
        (["--multiply-adds", "0.5", "--model", "nobody"], "expected one of the models"),
        (["--multiply-adds", "0.5", "--teachers", "student,nobody"], "expected one of the models"),
        (["--multiply-adds", "0.001", "--restart"], "ask for more"),
        (["--multiply-adds", "0.5", "--alpha", "2"], "alpha"),
        (
            ["--multiply-adds", "0.5", "--model", "resnet50", "--alpha", "0.5"],
            "alpha: expected teachers, found none",
        ),
        (["--ship", "0.6", "--name", "My Model"], "--name: expected"),
        (
            ["--sparsity", "0.5", "--alpha", "0.5", "--alpha", "0.8"],
            "--alpha: expected one with --sparsity, found 2",
        ),
        (["--ship", "0.6", "--size", "0"], "size: expected a share above 0"),
        (["--ship", "0.6", "--size", "1.5"], "size: expected a share above 0"),
    ],
)
def test_misuse_is_one_line(place, capsys, arguments, message):
    capsys.readouterr()
    assert main([*PRUNE, *arguments]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert message in lines[0]
