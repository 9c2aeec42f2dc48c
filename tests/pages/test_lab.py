"""The distillation lab: with models and runs, with some of them, and with none; and a lesson with its queue."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.artifacts import ModelEntry, update_model, update_shared
from core.classroom.desk import DONE, STOPPED, Desk, Ticket
from core.classroom.lesson import Order
from core.evaluation.metrics import confusion
from core.evaluation.predictions import Predictions
from core.lab.plan import CHOSEN, SHARES, plan, taught
from core.lab.table import DATA, FILE, KEY, TEACHER_WEIGHTS, Outcome, to_csv
from core.lab.variants import ALL_MISTAKES, SEEDS, Variant
from pages import _data, _gallery, _lab_gain, _lab_live

N = 210
IDS = np.array([f"ISIC_{i:07d}" for i in range(N)])
LESIONS = np.array([f"HAM_{i // 2:07d}" for i in range(N)])
LABELS = np.where(np.arange(N) % 3 == 0, np.arange(N) % 7, 5)
TEST = np.arange(N) % 2 == 1
MODELS = {"resnet50": "teacher", "student": "student", "baseline": "baseline"}


def predictions(model: str, seed: int) -> Predictions:
    logits = np.random.default_rng(seed).normal(size=(N, 7))
    logits[np.arange(N), LABELS] += 2
    return Predictions(model, IDS, LESIONS, LABELS, logits, np.where(TEST, "test", "validation"))


def outcome(variant: Variant) -> Outcome:
    """Right as often as it deserves to be; all mistakes together say nevus."""
    rng = np.random.default_rng([variant.seed, len(variant.mistakes)])
    labels = LABELS[TEST]
    right = 0.6 + 0.3 * bool(variant.alpha) + 0.01 * rng.random()
    answers = np.where(rng.random(len(labels)) < right, labels, (labels + 1) % 7)
    if len(variant.mistakes) == len(ALL_MISTAKES):
        answers = np.full(len(labels), 5)
    matrix = confusion(labels, answers)[0].astype(int)
    history = tuple(
        {
            "epoch": e,
            "loss": 1 / e,
            "val_loss": 1 / e,
            "val_accuracy": 0.2 * e,
            "val_balanced_accuracy": 0.1 * e,
        }
        for e in (1, 2)
    )
    recipe = {"protocol": {"batch_size": 64, "teacher_size": 160, "starved_size": 128}}
    return Outcome(
        variant,
        "f",
        "abc",
        2,
        2,
        60.0,
        900,
        64,
        matrix,
        matrix,
        answers,
        1.2,
        0.7,
        "none",
        "cpu",
        recipe,
        history,
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Artifacts of three models with answers, and no runs."""
    folder = tmp_path_factory.mktemp("artifacts")
    for seed, (name, role) in enumerate(MODELS.items()):
        predictions(name, seed).save(folder / f"{name}.parquet")
        (folder / f"{name}.tflite").write_bytes(name.encode())
        files = {"predictions": f"{name}.parquet", "litert": f"{name}.tflite"}
        update_model(folder, name, ModelEntry(name, name.title(), role), files)
    return folder


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A function that makes these artifacts the ones to use, with a table of some runs or without one."""

    def set_folder(folder: Path, runs: list[Variant] | None = None) -> Path:
        if runs is not None:
            (folder / FILE).write_text(to_csv(outcome(v) for v in runs))
            update_shared(folder, {KEY: FILE})
        else:
            update_shared(folder, {KEY: None})
        monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(folder))
        return folder

    return set_folder


@pytest.fixture(autouse=True)
def nothing_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process that makes a lesson's images for every page that is opened."""
    monkeypatch.setattr(_lab_live, "desk", lambda: SimpleNamespace(prepare=lambda order: None))


def all_runs() -> list[Variant]:
    return [*plan("collapse"), *plan("grid", [1, 2, 3]), *plan("hints"), *plan("weights"), *plan("data")]


def texts(elements) -> str:
    return "\n".join(str(element.value) for element in elements)


def everything(app: AppTest) -> str:
    kinds = (app.markdown, app.info, app.success, app.caption, app.warning, app.error)
    return "\n".join(texts(kind) for kind in kinds)


def chart(app: AppTest, key: str) -> dict:
    found = [c for c in app.get("plotly_chart") if f"chart-{key}" in c.proto.id]
    assert len(found) == 1, [c.proto.id for c in app.get("plotly_chart")]
    return json.loads(found[0].proto.spec)


def decoded(values: list | dict) -> list:
    """A trace's numbers, which Plotly may send packed."""
    if isinstance(values, dict):
        return np.frombuffer(base64.b64decode(values["bdata"]), np.dtype(values["dtype"])).tolist()
    return values


def sound(app: AppTest) -> AppTest:
    assert not app.exception, app.exception
    assert not app.error
    return app


def cells_in(plane: dict) -> int:
    return len(plane["layout"].get("annotations", []))


def test_without_models_it_says_what_makes_them(tmp_path: Path, use, open_page) -> None:
    use(tmp_path / "nothing")
    app = open_page("lab")
    assert not app.exception
    assert "python -m core train" in texts(app.info)
    assert "python -m core ablate --group collapse" in texts(app.caption)


def test_the_story_goes_down_the_page(models: Path, use, open_page) -> None:
    use(models, all_runs())
    app = sound(open_page("lab"))
    heads = [head.value for head in app.header]
    assert [head.split(" ")[0] for head in heads] == [str(i) for i in range(1, 9)]
    contents = re.findall(r"\]\(#([\w-]+)\)", app.markdown[1].value)
    assert contents == [head.anchor for head in app.header], "the contents lead to every chapter"
    for key in (
        "soft-resnet50",
        "entropy",
        "knowledge",
        "mistaken",
        "gradients",
        "pull",
        "collapse-accuracy",
        "collapse-balanced_accuracy",
        "plane",
        "comparisons",
        "epochs",
        "data",
    ):
        assert chart(app, key)["data"], key
    assert sum(":material/info:" in c.value for c in app.caption) >= 12, "a line on how to read each"
    assert len(app.get("download_button")) >= 8


def test_temperature_moves_the_entropy_and_keeps_the_order(models: Path, use, open_page) -> None:
    use(models)
    app = sound(open_page("lab"))
    before = next(m.value for m in app.markdown if m.value.startswith("At T = 2 "))
    app.select_slider(key="t").set_value(50.0).run()
    after = next(m.value for m in sound(app).markdown if m.value.startswith("At T = 50 "))
    entropies = [float(re.search(r"entropy is .*? (\d\.\d{3})", said)[1]) for said in (before, after)]
    assert entropies[0] + 0.1 < entropies[1] <= 1.946
    order = re.search(r"\*\*order\*\*: ResNet50 ([\w >]+)", after)[1].split(" > ")
    bars = {trace["name"]: trace for trace in chart(app, "soft-resnet50")["data"]}
    assert set(bars) == {"T = 50", "T = 1"}
    for trace in bars.values():
        shares = dict(zip(trace["x"], decoded(trace["y"]), strict=True))
        assert sorted(shares, key=shares.get, reverse=True) == order


def test_each_teacher_has_an_order_of_its_own(models: Path, tmp_path: Path, use, open_page) -> None:
    folder = tmp_path / "artifacts"
    shutil.copytree(models, folder)
    predictions("densenet169", 7).save(folder / "densenet169.parquet")
    entry = ModelEntry("densenet169", "DenseNet169", "teacher")
    update_model(folder, "densenet169", entry, {"predictions": "densenet169.parquet"})
    use(folder)
    app = sound(open_page("lab"))
    said = re.search(r"\*\*order\*\*: (.+?)\. Softmax", texts(app.markdown))[1]
    for teacher, order in (part.split(" ", 1) for part in said.split("; ")):
        bars = chart(app, f"soft-{teacher.lower()}")["data"][0]
        shares = dict(zip(bars["x"], decoded(bars["y"]), strict=True))
        assert sorted(shares, key=shares.get, reverse=True) == order.split(" > "), teacher
    assert "for ResNet50 0." in texts(app.markdown), "whose softmax of softmax it is"


@pytest.mark.parametrize(
    ("split", "said"),
    [
        ("lesion", "nobody here was trained on its lesion"),
        ("report", "other images of its lesion may have been"),
    ],
)
def test_what_may_have_been_trained_on_follows_from_the_split(
    models: Path, tmp_path: Path, use, open_page, picture, monkeypatch, split: str, said: str
) -> None:
    folder = tmp_path / "artifacts"
    shutil.copytree(models, folder)
    for name in MODELS:
        update_model(folder, name, {"figures": {"split": split}})
    use(folder)
    monkeypatch.setattr(_gallery, "records", lambda: True)
    monkeypatch.setattr(_data, "from_dataset", lambda image_id: SimpleNamespace(data=picture("mel")))
    captions = texts(sound(open_page("lab")).caption)
    assert f"A test image; {said}" in captions


def test_what_is_as_trained_is_said_and_calibrated_where_it_can_be(
    models: Path, tmp_path: Path, use, open_page
) -> None:
    use(models)
    assert "Outlined: T = 1, as trained. Filled: T = 2." in texts(sound(open_page("lab")).caption)
    shutil.copytree(models, tmp_path / "artifacts")
    update_model(tmp_path / "artifacts", "resnet50", {"calibration": {"temperature": 0.5}}, {})
    use(tmp_path / "artifacts")
    app = sound(open_page("lab"))
    once = next(m.value for m in app.markdown if "**ResNet50** says mel (" in m.value)
    caption = next(c.value for c in app.caption if "as trained; calibrated" in c.value)
    trained = int(re.search(r"mel \((\d+)% at T = 1\)", once).group(1))
    calibrated = int(re.search(r"calibrated, as under Prediction, mel has (\d+)%\.", caption).group(1))
    assert calibrated > trained > 50, "half the temperature makes it surer"
    assert "a sample under Prediction is another image" in app.number_input(key="image").help


def test_alpha_moves_the_gradient(models: Path, use, open_page) -> None:
    use(models)
    app = sound(open_page("lab"))
    app.slider(key="alpha").set_value(0.0).run()
    bars = {t["name"]: t["y"] for t in chart(sound(app), "gradients")["data"]}
    assert bars["total"] == bars["(1 - alpha) x hard"]
    assert "by the one reading" in texts(app.markdown)


def test_the_pull_is_called_level_only_where_it_is(models: Path, tmp_path: Path, use, open_page) -> None:
    folder = tmp_path / "artifacts"
    shutil.copytree(models, folder)
    for name, sure in (("resnet50", 12), ("student", 9)):
        found = predictions(name, 1)
        replace(found, logits=found.logits + sure * np.eye(7)[LABELS]).save(folder / f"{name}.parquet")
        update_model(folder, name, {}, {"predictions": f"{name}.parquet"})
    use(folder)
    app = sound(open_page("lab", state="student"))
    with_t2 = next(trace for trace in chart(app, "pull")["data"] if trace["name"] == "with T²")
    level_from = float(re.search(r"From about T = (\d+) on T² keeps it level", texts(app.caption))[1])
    there = np.array(decoded(with_t2["x"])) >= level_from
    lengths = np.array(decoded(with_t2["y"]))
    assert lengths[there].max() < 2 * lengths[there].min()
    assert lengths.max() > 10 * lengths.min()


def test_without_runs_cells_are_empty_and_commands_named(models: Path, use, open_page) -> None:
    use(models)
    app = sound(open_page("lab"))
    drawn = " ".join(figure.proto.id for figure in app.get("plotly_chart"))
    assert not any(f"chart-{key}" in drawn for key in ("plane", "data", "comparisons", "epochs", "collapse"))
    for group in ("collapse", "grid", "hints", "weights", "data"):
        assert f"python -m core ablate --group {group}" in texts(app.caption)
    assert texts(app.caption).count("No runs so far.") == 3
    assert "runs, or those without, are missing" in texts(app.info)


def test_how_many_runs_there_are_and_what_adds_more(models: Path, use, open_page) -> None:
    use(models, [*plan("grid", [1]), *plan("weights")])
    said = texts(sound(open_page("lab")).caption)
    made = len({*plan("grid", [1]), *plan("weights")})
    add = "`python -m core ablate --group grid` and `python -m core ablate --group hints` add runs."
    assert f"{made} runs so far; an empty cell was not measured. {add}" in said
    assert (
        "a point that is not there was not measured. `python -m core ablate --group data` adds runs." in said
    )


@pytest.mark.parametrize("fits", [True, False])
def test_what_intervals_are_of_follows_from_what_there_is(
    models: Path, tmp_path: Path, use, open_page, fits: bool
) -> None:
    folder = tmp_path / "artifacts"
    shutil.copytree(models, folder)
    for name in MODELS:
        found = predictions(name, 1)
        replace(found, label=found.label if fits else (found.label + 1) % 7).save(folder / f"{name}.parquet")
        update_model(folder, name, {}, {"predictions": f"{name}.parquet"})
    use(folder, all_runs())
    said = texts(sound(open_page("lab")).caption)
    assert (
        said.count("over the seeds and the test lesions")
        == said.count("of the seeds and the test lesions")
        == fits
    )
    assert ("the intervals below are of the seeds alone" in said) != fits


def test_deleting_a_run_empties_its_cell(models: Path, use, open_page) -> None:
    cell, other, alone = taught(8.0, 0.25, seed=1), taught(2.0, 0.5, seed=1), Variant(seed=1)
    use(models, [cell, other, alone])
    assert cells_in(chart(sound(open_page("lab")), "plane")) == 2
    use(models, [other, alone])
    assert cells_in(chart(sound(open_page("lab")), "plane")) == 1
    use(models, [alone])
    app = sound(open_page("lab"))
    assert not [c for c in app.get("plotly_chart") if "chart-plane" in c.proto.id], "no map of nothing"


def test_verdict_and_collapse_follow_from_the_runs(models: Path, use, open_page) -> None:
    use(models, all_runs())
    app = sound(open_page("lab"))
    said = texts(app.success)
    assert "answers “nevus” to 100.0%" in said
    assert "measured on different test parts" in said
    assert "“All mistakes together” and “Split by image” are measured" in texts(app.caption)
    assert "Whiskers are 95% intervals over the seeds" in texts(app.caption)
    compared = chart(app, "comparisons")
    assert compared["layout"]["xaxis"]["title"]["text"] == "Balanced accuracy, with minus without, points"
    assert compared["layout"]["xaxis"]["tickformat"] == "+~f", "no per cent"
    assert "a balanced accuracy of" in texts(app.caption)
    assert "adds" in said
    assert f"T = {CHOSEN[0]:g}" in said
    use(models, [taught(*CHOSEN, seed=1), Variant(seed=1)])
    assert "too few runs for a verdict" in texts(sound(open_page("lab")).info)


def test_figures_are_remembered_under_the_table_that_they_are_of(monkeypatch) -> None:
    """A fragment keeps the runs that it was given, though the table may be newer by now."""
    asked = []

    def remembered(table: str, *_) -> SimpleNamespace:
        asked.append(table)
        return SimpleNamespace(seeds=np.zeros(1))

    monkeypatch.setattr(_lab_gain, "_plane", remembered)
    monkeypatch.setattr("pages._lab_table.version", lambda: "newer")
    _lab_gain._show_plane({}, ("resnet50",), "accuracy", None, False, "of these runs")
    assert asked == ["of these runs"]


def test_a_gain_that_class_weights_explain_is_no_success(models: Path, use, open_page) -> None:
    plain = [one for seed in SEEDS for one in (taught(*CHOSEN, seed=seed), Variant(seed=seed))]
    use(models, plain)
    app = sound(open_page("lab"))
    assert "balanced accuracy" not in texts(app.success)
    assert "square-root class weights" in texts(app.info)
    assert "nothing can be said yet: these runs" in texts(app.info)
    others = sound(open_page("lab", **{"taught-by": "densenet169"}))
    assert "was tried with ResNet50 alone" in texts(others.info), "no run of that kind will ever come"
    use(models, [*plain, *(replace(v, balance="sqrt") for v in plain)])
    said = texts(sound(open_page("lab")).success)
    assert said.count("adds") == 2
    assert "learned with" not in said, "nothing is known of these teachers' recipes"


@pytest.mark.parametrize("balance", ["sqrt", "none"])
def test_what_teachers_learned_with_comes_from_their_recipe(
    models: Path, tmp_path: Path, use, open_page, balance: str
) -> None:
    shutil.copytree(models, tmp_path / "artifacts")
    update_model(tmp_path / "artifacts", "resnet50", {"recipe": {"balance": balance}}, {})
    use(tmp_path / "artifacts", all_runs())
    app = sound(open_page("lab"))
    learned = balance == "sqrt"
    assert ("ResNet50 learned with square-root class weights" in texts(app.success)) == learned
    assert ("It learned with class weights" in texts(app.caption)) == learned


def test_a_teacher_that_learned_further_is_named(models: Path, tmp_path: Path, use, open_page) -> None:
    folder = shutil.copytree(models, tmp_path / "artifacts")
    (folder / "resnet50.npz").write_bytes(b"weights")
    update_model(folder, "resnet50", {}, {"weights": "resnet50.npz"})
    use(folder, [])
    for weights, said in ((b"weights", False), (b"weights of before", True)):
        taught_by = {TEACHER_WEIGHTS: {"resnet50": hashlib.sha256(weights).hexdigest()}}
        runs = [outcome(taught(*CHOSEN, seed=1)), outcome(Variant(seed=1))]
        runs[0] = replace(runs[0], recipe=runs[0].recipe | taught_by)
        (folder / FILE).write_text(to_csv(runs))
        update_shared(folder, {KEY: FILE})
        caption = texts(sound(open_page("lab")).caption)
        assert ("ResNet50 learned further after these runs" in caption) == said


def test_runs_on_drawn_lesions_are_labelled(models: Path, tmp_path: Path, use, open_page) -> None:
    folder = shutil.copytree(models, tmp_path / "artifacts")
    use(folder, [])
    for more, said in (({}, False), ({DATA: "synthetic lesions"}, True)):
        runs = [outcome(Variant(seed=1))]
        runs[0] = replace(runs[0], recipe=runs[0].recipe | more)
        (folder / FILE).write_text(to_csv(runs))
        update_shared(folder, {KEY: FILE})
        app = sound(open_page("lab"))
        assert ("trained and tested on synthetic lesions" in texts(app.warning)) == said


def test_another_mistake_is_looked_at(models: Path, use, open_page) -> None:
    use(models, plan("collapse"))
    app = sound(open_page("lab"))
    options = app.selectbox(key="mistake").options
    assert "Repaired" in options
    assert "from scratch; its teacher answered the same views at 128 px" in texts(app.caption)
    app.selectbox(key="mistake").select("Softmax of softmax").run()
    assert "softens the logits, once" in texts(sound(app).markdown)
    assert "from ImageNet; its teacher answered the same views at 160 px" in texts(app.caption)


def test_the_data_curve_has_the_shares_that_have_runs(models: Path, use, open_page) -> None:
    use(models, [v for v in plan("data") if v.share < 0.5])
    app = sound(open_page("lab"))
    assert [list(t["x"]) for t in chart(app, "data")["data"] if t.get("name")] == [list(SHARES[:2])] * 2


def test_a_damaged_table_is_named_and_the_rest_goes_on(models: Path, tmp_path: Path, use, open_page) -> None:
    use(models, plan("collapse"))
    (models / FILE).write_text("run\nx\n")
    app = open_page("lab")
    assert not app.exception
    assert "cannot be read" in texts(app.warning)
    assert chart(app, "entropy")["data"]


@pytest.mark.parametrize(
    ("query", "key", "value"),
    [
        ({"t": "8"}, ("select_slider", "t"), 8.0),
        ({"t": "1.5"}, ("select_slider", "t"), 1.5),
        ({"t": "8.0"}, ("select_slider", "t"), 8.0),
        ({"t": "2.5"}, ("select_slider", "t"), 3.0),
        ({"loss-t": "5", "t": "8"}, ("select_slider", "loss-t"), 6.0),
        ({"live-t": "1e300"}, ("select_slider", "live-t"), 50.0),
        ({"knowledge-t": "nan"}, ("select_slider", "knowledge-t"), 2.0),
        ({"t": "-1e9"}, ("select_slider", "t"), 2.0),
        ({"t": ["4", "8"]}, ("select_slider", "t"), 2.0),
        ({"lab-class": "bcc"}, ("selectbox", "lab-class"), "bcc"),
        ({"alpha": "0.8", "loss-t": "50"}, ("slider", "alpha"), 0.8),
        ({"taught-by": "densenet169"}, ("selectbox", "taught-by"), "densenet169"),
        ({"lab-figure": "accuracy"}, ("selectbox", "lab-figure"), "accuracy"),
    ],
    ids=str,
)
def test_deep_links(models: Path, use, open_page, query: dict, key: tuple[str, str], value: object) -> None:
    use(models, plan("collapse"))
    app = sound(open_page("lab", **query))
    assert getattr(app, key[0])(key=key[1]).value == value


def test_another_class_begins_with_its_first_image(models: Path, use, open_page) -> None:
    use(models)
    app = sound(open_page("lab", image="2"))
    assert app.number_input(key="image").value == 2
    app.selectbox(key="lab-class").select("nv").run()
    assert sound(app).number_input(key="image").value == 1
    assert app.session_state["image"] == 1


def test_a_temperature_that_is_none_is_spoken_of_and_one_that_is_no_choice_is_rounded(
    models: Path, use, open_page
) -> None:
    use(models)
    app = sound(open_page("lab", **{"t": "hot", "loss-t": "5"}))
    assert [toast.value for toast in app.toast] == [
        "The address asks for T = “hot”, which is no temperature."
    ]
    assert app.query_params["loss-t"] == "6"
    app.select_slider(key="loss-t").set_value(50.0).run()
    assert "2500 times smaller" in texts(sound(app).caption)


@pytest.mark.parametrize("is_taught", [True, False])
def test_the_data_curve_speaks_of_a_teacher_where_there_is_one(
    models: Path, use, open_page, is_taught: bool
) -> None:
    use(models, [v for v in plan("data") if bool(v.teachers) == is_taught])
    app = sound(open_page("lab"))
    assert (
        "Teacher: ResNet50, T = 4, alpha = 0.5, trained on all of the lesions" in texts(app.caption)
    ) == is_taught


@pytest.mark.parametrize(("size", "parameters"), [(32, "24,039"), (48, "79,655"), (64, "79,655")])
def test_the_student_s_size_is_counted(models: Path, use, open_page, size: int, parameters: str) -> None:
    use(models, plan("collapse"))
    assert f"has {parameters} parameters" in texts(sound(open_page("lab", size=str(size))).caption)


def test_the_kinds_of_run_stand_in_the_address(models: Path, use, open_page) -> None:
    use(models, plan("collapse"))
    cells = [variant.cell for variant in plan("collapse")[1:3]]
    app = sound(open_page("lab", kinds=cells))
    assert app.multiselect(key="kinds").value == cells


@pytest.mark.parametrize(
    "query", [{"t": "-1e9"}, {"class": "<b>"}, {"image": "99999"}, {"mistake": "../"}, {"size": "7"}], ids=str
)
def test_junk_in_the_address_is_ignored(models: Path, use, open_page, query: dict) -> None:
    use(models, plan("collapse"))
    sound(open_page("lab", **query))


LESSON = """
import json, sys, time
order = json.loads(sys.stdin.readline())
print(json.dumps({"kind": "material", "text": "seven drawn lesions"}), flush=True)
for half in range(2 * order["epochs"] + 1):
    for arm, gain in (("alone", 0.0), ("taught", 0.1)):
        figures = {"test_loss": 2.0, "test_accuracy": 0.5, "test_balanced_accuracy": 0.3 + gain}
        loss = 1.0 if half else None
        print(json.dumps({"kind": "point", "arm": arm, "epoch": half / 2, "loss": loss, **figures}), flush=True)
PAUSE
print(json.dumps({"kind": "end"}), flush=True)
"""


def give_lessons(monkeypatch: pytest.MonkeyPatch, pause: str, *, cut_short: bool = False) -> Desk:
    lesson = LESSON.replace("PAUSE", pause)
    program = lesson.replace("+ 1)", ")") if cut_short else lesson
    one = Desk((sys.executable, "-c", program), left_after=600.0)
    monkeypatch.setattr(_lab_live, "desk", lambda: one)
    return one


def button(app: AppTest, key: str):
    return next(b for b in app.button if b.key == key)


def follow(app: AppTest, seconds: float = 120.0) -> AppTest:
    """As the browser does: run again and again until the lesson is over."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        app.run()
        if not button(app, "train").disabled:
            return app
        time.sleep(0.1)
    raise AssertionError("the lesson did not end")


def test_a_lesson_draws_its_curves_and_is_summed_up(models: Path, use, open_page, monkeypatch) -> None:
    give_lessons(monkeypatch, "")
    use(models)
    app = sound(open_page("lab", epochs="2"))
    button(app, "train").click().run()
    follow(sound(app))
    assert "seven drawn lesions" in texts(app.caption)
    curves = chart(app, "live-test_accuracy")["data"]
    assert [len(trace["x"]) for trace in curves] == [5, 5]
    assert "balanced accuracy by +10.0," in texts(app.markdown)
    assert "Done after epoch 2 of 2 and" in texts(app.markdown)
    assert "mostly on nevi" not in texts(app.markdown), "there are as many drawn lesions of each class"
    assert "Accuracy on the test images: from labels alone 50.0%, with the teacher 50.0%." in texts(
        app.caption
    )
    assert "Cross-entropy on the test images: from labels alone 2.000," in texts(app.caption)


def test_a_lesson_that_ran_out_of_time_says_so(models: Path, use, open_page, monkeypatch) -> None:
    give_lessons(monkeypatch, "", cut_short=True)
    use(models)
    app = sound(open_page("lab", epochs="2"))
    button(app, "train").click().run()
    follow(sound(app))
    assert "Time is up after epoch 1.5 of 2 and" in texts(app.markdown)


@pytest.mark.parametrize(
    ("state", "reached", "seconds", "said"),
    [
        (DONE, 15.0, 83.4, "Done after epoch 15 of 15 and 83 s."),
        (DONE, 14.0, 117.0, "Time is up after epoch 14 of 15 and 117 s."),
        (STOPPED, 3.5, 20.0, "Stopped after epoch 3.5 of 15 and 20 s."),
        (STOPPED, 12.0, 120.3, "Time is up after epoch 12 of 15 and 120 s."),
        (STOPPED, None, 600.2, "Time is up before the first epoch, after 600 s."),
        (STOPPED, None, 4.0, "Stopped before the first epoch, after 4 s."),
    ],
)
def test_how_a_lesson_ended(state: str, reached: float | None, seconds: float, said: str) -> None:
    points = [] if reached is None else [{"epoch": reached}]
    ticket = Ticket(Order("synthetic", "resnet50"), state, points, begun=5.0, ended=5.0 + seconds)
    ticket.overdue = state == STOPPED and "Time is up" in said
    assert _lab_live._how_it_ended(ticket) == said
    ticket.left = state == STOPPED and "Stopped" in said
    assert ("nobody was seen looking on," in _lab_live._how_it_ended(ticket)) == ticket.left


@pytest.mark.parametrize(
    ("epochs", "compared"),
    [([], None), ([("alone", 0.0)], None), ([("alone", 0), ("taught", 0), ("alone", 0.5)], 0),
     ([("alone", 0), ("taught", 0), ("alone", 0.5), ("taught", 0.5)], 0.5)],
)  # fmt: skip
def test_students_of_one_age_are_compared(epochs: list[tuple[str, float]], compared: float | None) -> None:
    points = [{"arm": arm, "epoch": epoch} for arm, epoch in epochs]
    found = _lab_live._together(Ticket(Order("synthetic", "resnet50"), STOPPED, points))
    assert {arm: point["epoch"] for arm, point in found.items()} == (
        {} if compared is None else {"alone": compared, "taught": compared}
    )


def test_stop_stops_and_others_are_told_that_they_queue(models: Path, use, open_page, monkeypatch) -> None:
    one = give_lessons(monkeypatch, "time.sleep(60)")
    use(models)
    first, second = sound(open_page("lab")), sound(open_page("lab"))
    button(first, "train").click().run()
    button(second, "train").click().run()
    assert "Only one lesson is given at a time" in texts(sound(second).info)
    assert button(second, "train").disabled
    begun = time.monotonic()
    button(first, "stop").click().run()
    assert first.session_state["lesson"].ended - begun < 30, "the lesson itself would take a minute"
    assert not button(sound(first), "train").disabled
    assert second.session_state["lesson"].state == "running"
    one.stop(second.session_state["lesson"])


def test_who_leaves_the_queue_is_told_of_no_time_that_never_was(
    models: Path, use, open_page, monkeypatch
) -> None:
    one = give_lessons(monkeypatch, "time.sleep(60)")
    use(models)
    first, second = sound(open_page("lab")), sound(open_page("lab"))
    button(first, "train").click().run()
    button(second, "train").click().run()
    button(second, "stop").click().run()
    assert "Stopped before its turn came." in texts(sound(second).info)
    one.stop(first.session_state["lesson"])
