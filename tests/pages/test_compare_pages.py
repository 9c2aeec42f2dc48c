"""Overview, comparison and model cards, with models, with some of them, and with none."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from streamlit.runtime.caching.cache_data_api import _data_caches
from streamlit.testing.v1 import AppTest

from core.artifacts import ModelEntry, load_manifest, update_model, update_shared
from core.benchmark.store import save
from core.evaluation.brought import NAME, template
from core.evaluation.cohorts import Cohort
from core.evaluation.compare import compare_all
from core.evaluation.contestants import Contestant, read_predictions
from core.evaluation.intervals import Interval
from core.evaluation.predictions import Predictions, PredictionsError
from core.evaluation.refresh import refresh
from core.evaluation.trials import FILE, KEY, Trial, to_csv
from core.lesions import CODES, N_CLASSES
from core.numbers import percent_range
from pages import _answers
from pages._training import two_losses

VIEWS = ("Figures", "Trade-off", "Classes", "Curves", "Calibration", "Differences", "Cohorts", "Training")
NAMES = {"resnet50": "teacher", "student": "student", "baseline": "baseline"}


def simulate(model: str, seed: int, n: int = 140) -> Predictions:
    rng = np.random.default_rng(7)
    label = np.arange(n) % N_CLASSES
    logits = np.random.default_rng(seed).normal(size=(n, N_CLASSES))
    logits[np.arange(n), label] += 1.5
    part = np.where(rng.random(n) < 0.5, "validation", "test")
    ids = [f"ISIC_{i:07d}" for i in range(n)]
    return Predictions(
        model, np.array(ids), np.array([f"HAM_{i // 2:07d}" for i in range(n)]), label, logits, part
    )


def cohort(group: str, n: int, dimension: str = "sex") -> dict:
    one = Interval(0.7, 0.6, 0.8)
    names = ("accuracy", "balanced_accuracy", "melanoma_sensitivity", "malignant_auc")
    return Cohort(dimension, group, n, n, 3, 5, n < 30, dict.fromkeys(names, one)).to_dict()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Artifacts of three evaluated models with predictions, histories and sizes."""
    folder = tmp_path_factory.mktemp("artifacts")
    for seed, (name, role) in enumerate(NAMES.items()):
        simulate(name, seed).save(folder / f"{name}.parquet")
        (folder / f"{name}.tflite").write_bytes(name.encode() * 1000 * (seed + 1))
        (folder / f"{name}.csv").write_text(
            "epoch,loss,accuracy,val_loss,val_accuracy\n1,2,0.4,1,0.5\n2,1,0.5,1,0.6\n"
        )
        files = {"predictions": f"{name}.parquet", "litert": f"{name}.tflite", "history": f"{name}.csv"}
        entry = ModelEntry(name, name.title(), role, recipe={"split": "lesion"}, provenance={"licence": "CC"})
        update_model(folder, name, entry, files)
    refreshed = refresh(folder, resamples=20)
    for name in NAMES:
        figures = {"split": "lesion", "test": refreshed.assessments[name].test.to_dict()}
        cohorts = [cohort("male", 50), cohort("unknown", 9), cohort("histo", 50, "confirmation")]
        update_model(folder, name, {"figures": figures | {"cohorts": cohorts}})
    return folder


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    return lambda folder: monkeypatch.setenv("DERMDISTILL_ARTIFACTS", str(folder))


def texts(elements) -> str:
    return "\n".join(str(element.value) for element in elements)


def charts(app: AppTest) -> list[dict]:
    return [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]


def sound(app: AppTest) -> AppTest:
    assert not app.exception
    assert not app.error
    return app


def names_of(chart: dict) -> set[str]:
    return {trace["name"] for trace in chart["data"] if trace.get("name")}


def plain_table(app: AppTest, name: str) -> list[dict[str, str]]:
    """The rows of one of the overview's tables, by the words over its columns."""
    (drawn,) = [x.proto.body for x in app.get("html") if f'id="T_{name}"' in x.proto.body]
    table = ElementTree.fromstring(drawn).find(".//table")
    headings = [(cell.text or "").strip() for cell in table.findall("./thead/tr/th")]
    return [
        {heading: cell.text or "" for heading, cell in zip(headings, row, strict=True)}
        for row in table.findall("./tbody/tr")
    ]


def test_the_overview_is_the_default_page_and_has_table_figure_and_doors(
    finished: Path, use, open_page
) -> None:
    use(finished)
    app = sound(open_page("overview"))
    table = plain_table(app, "headline")
    assert [row["Model"] for row in table][:3] == ["ResNet50", "Student", "Baseline"]
    assert table[-1]["Model"].startswith("Always")
    assert table[-1]["Note"] == "majority line"
    figures = load_manifest(finished).model("student").figures["test"]["accuracy"]
    assert table[1]["Accuracy"] == f"{figures['value']:.1%}"
    assert table[1]["95% interval, %"] == percent_range(figures["low"], figures["high"])
    assert {"Student", "MobileNetV2 student, as reported"} <= names_of(charts(app)[0])
    assert len(app.get("page_link")) == 3
    for who in ("Clinician", "Instructor", "Researcher"):
        assert who in texts(app.markdown)
    assert "No benchmark was run" in texts(app.caption)
    assert "“report: collapsed” means" in texts(app.caption)


@pytest.mark.parametrize(("code", "name"), [("nv", "Melanocytic nevus"), ("bcc", "Basal cell carcinoma")])
def test_the_line_s_caption_names_the_class_of_the_last_row(
    finished: Path, tmp_path: Path, use, open_page, code: str, name: str
) -> None:
    folder = shutil.copytree(finished, tmp_path / "artifacts")
    for model in NAMES:
        figures = dict(load_manifest(folder).model(model).figures)
        figures["test"] = figures["test"] | {"majority": {"class": code, "share": 0.2}}
        update_model(folder, model, {"figures": figures})
    use(folder)
    app = sound(open_page("overview"))
    assert plain_table(app, "headline")[-1]["Model"] == f"Always “{name}”"
    assert f"Naming everything “{name}” has the accuracy of the last row (20.0% here)" in texts(app.caption)


@pytest.mark.parametrize(("student", "said"), [(0.81, True), (0.74, False), (0.75, False)])
def test_a_student_that_leads_its_teachers_is_explained(
    finished: Path, tmp_path: Path, use, open_page, student: float, said: bool
) -> None:
    folder = shutil.copytree(finished, tmp_path / "artifacts")
    for name, accuracy in (("student", student), ("resnet50", 0.75)):
        figures = dict(load_manifest(folder).model(name).figures)
        figures["test"] = dict(figures["test"]) | {"accuracy": Interval(accuracy, 0.7, 0.9).to_dict()}
        update_model(folder, name, {"figures": figures})
    use(folder)
    found = texts(sound(open_page("overview")).caption)
    assert ("The student (81.0%) leads its large teachers (75.0%)" in found) == said
    assert ("leads its large teachers" in found) == said


def test_models_without_figures_and_of_another_split_take_no_part_in_the_headlines(
    finished: Path, tmp_path: Path, use, open_page
) -> None:
    folder = shutil.copytree(finished, tmp_path / "artifacts")
    figures = dict(load_manifest(folder).model("student").figures)
    best = {"accuracy": Interval(0.99, 0.98, 1.0).to_dict()}
    update_model(folder, "student", {"figures": figures | {"test": dict(figures["test"]) | best}})
    update_model(
        folder, "leaking", ModelEntry("leaking", "Leaking", "teacher", figures=figures | {"split": "report"})
    )
    update_model(folder, "young", ModelEntry("young", "Young", "teacher"))
    use(folder)
    app = sound(open_page("overview"))
    found = texts(app.caption)
    assert "nan" not in found
    assert "The student (99.0%) leads its large teachers (" in found
    assert "Not shown here: Leaking, trained and measured on a split by image" in found
    models = [row["Model"] for row in plain_table(app, "headline")]
    assert "Young" in models
    assert "Leaking" not in models
    assert "on different splits" in texts(sound(open_page("comparison")).warning)


def test_a_prediction_file_of_another_name_is_left_out_with_the_reason(
    finished: Path, tmp_path: Path, use, open_page
) -> None:
    folder = shutil.copytree(finished, tmp_path / "artifacts")
    entry = load_manifest(folder).model("student")
    update_model(folder, "mine", dataclasses.replace(entry, name="mine", title="Mine"))
    use(folder)
    for view in ("Curves", "Calibration", "Differences"):
        sound(open_page("comparison", view=view))
    with pytest.raises(PredictionsError, match="expected predictions of mine, found those of student"):
        read_predictions(load_manifest(folder), "mine")


@pytest.mark.parametrize("page", ["overview", "comparison", "models"])
def test_without_models_each_page_says_which_commands_make_them(
    page: str, tmp_path: Path, use, open_page
) -> None:
    use(tmp_path / "nothing")
    app = open_page(page)
    assert not app.exception
    commands = "\n".join(frame.value.to_string() for frame in app.dataframe)
    assert "python -m core distill --init imagenet" in commands
    assert "python -m core train --network resnet50 --init imagenet" in commands


def test_without_models_the_report_s_figures_are_there_as_reported(tmp_path: Path, use, open_page) -> None:
    use(tmp_path / "nothing")
    table = plain_table(open_page("overview"), "headline")
    assert "87.76%" in [row["Accuracy as reported"] for row in table]
    assert "ms per image" not in table[0]
    assert open_page("comparison").dataframe[-1].value["model"].str.contains("as reported").all()


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_draws_and_gives_its_table(finished: Path, use, open_page, view: str) -> None:
    use(finished)
    app = sound(open_page("comparison", view=view))
    assert charts(app), view
    assert any(":material/info:" in caption.value for caption in app.caption), "a line on how to read it"
    if view != "Curves":
        assert app.get("download_button")


@pytest.mark.parametrize("view", VIEWS)
def test_a_model_without_predictions_figures_or_history_breaks_no_view(
    tmp_path: Path, use, open_page, view: str
) -> None:
    update_model(tmp_path, "student", ModelEntry("student", "Student", "student"))
    use(tmp_path)
    app = sound(open_page("comparison", view=view, compare="Student"))
    assert texts(app.info) or texts(app.warning) or charts(app)


def test_damaged_predictions_leave_one_model_out_by_name(
    finished: Path, tmp_path: Path, use, open_page
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(finished, folder)
    (folder / "student.parquet").write_bytes(b"x" * (folder / "student.parquet").stat().st_size)
    use(folder)
    app = sound(open_page("comparison", view="Curves"))
    assert "Student is left out" in texts(app.warning)
    assert {name.split(",")[0] for name in names_of(charts(app)[0])} == {"ResNet50", "Baseline", "Ensemble"}


def test_a_deep_link_opens_the_same_view(finished: Path, use, open_page) -> None:
    use(finished)
    app = sound(open_page("comparison", view="Curves", diagnosis="Vascular lesion", compare="Student"))
    assert app.selectbox(key="diagnosis").value == "vasc"
    assert {name.split(",")[0] for name in names_of(charts(app)[0])} == {"Student"}


@pytest.mark.parametrize(
    "query", [{"view": "<script>"}, {"compare": "x" * 5000}, {"card": "../.."}, {"figure": "1e9"}]
)
def test_junk_in_the_address_is_ignored(finished: Path, use, open_page, query: dict[str, str]) -> None:
    use(finished)
    sound(open_page("models" if "card" in query else "comparison", **query))


def test_other_views_are_read_ahead(finished: Path, use, open_page, monkeypatch) -> None:
    use(finished)
    calls = []
    monkeypatch.setattr(_answers, "compare_all", lambda *a, **k: calls.append(a) or compare_all(*a, **k))
    app = sound(open_page("comparison"))
    assert len(calls) == 1, "compared while the first view is looked at"
    app.pills(key="view").set_value("Differences").run()
    assert charts(sound(app))
    assert len(calls) == 1, "and not again when it is asked for"


def test_what_cannot_be_read_ahead_is_named_where_it_is_missed(
    finished: Path, tmp_path: Path, use, open_page
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(finished, folder)
    (folder / "student.parquet").write_bytes(b"x" * (folder / "student.parquet").stat().st_size)
    use(folder)
    app = sound(open_page("comparison"))
    assert not app.warning
    app.pills(key="view").set_value("Differences").run()
    assert "Student is left out" in texts(sound(app).warning)


def test_differences_are_seen_from_the_chosen_model(finished: Path, use, open_page) -> None:
    use(finished)
    app = sound(open_page("comparison", view="Differences"))
    labels = {a["text"] for a in charts(app)[0]["layout"]["annotations"]}
    others = ("ResNet50", "Student", "Ensemble")
    assert labels == {*(f"{other} minus Baseline" for other in others), "no difference"}
    app.selectbox(key="against").set_value("student").run()
    labels = {a["text"] for a in charts(sound(app))[0]["layout"]["annotations"]}
    others = ("ResNet50", "Baseline", "Ensemble")
    assert labels == {*(f"{other} minus Student" for other in others), "no difference"}


def test_a_download_with_a_guest_needs_no_session() -> None:
    """The server makes it when it is asked for, where there is no session's cache."""
    found = [
        (Contestant(n, n, {}, "lesion", 1.0), simulate(n, s).part_only("test"))
        for s, n in enumerate(("student", NAME))
    ]
    with ThreadPoolExecutor(1) as pool:
        data = pool.submit(
            _answers._all_differences, found, object(), {"student": "Student", NAME: "Yours"}
        ).result()
    table = pd.read_csv(io.StringIO(data))
    assert len(table) == 1
    assert {"accuracy", "balanced_accuracy", "macro_auc"} <= set(table)


def test_differences_are_in_points_and_those_of_an_area_in_decimals(finished: Path, use, open_page) -> None:
    use(finished)
    app = sound(open_page("comparison", view="Differences"))
    (pair,) = compare_all(
        [simulate(n, s).part_only("test") for s, n in enumerate(NAMES) if n != "student"],
        {}, figures=("accuracy",),
    )  # fmt: skip
    row = app.dataframe[-1].value.query("first == 'ResNet50' and second == 'Baseline'").iloc[0]
    points = 100 * pair.differences["accuracy"].value
    assert row["accuracy"] == pytest.approx(points)
    assert charts(app)[0]["layout"]["xaxis"]["title"]["text"] == "Difference in accuracy, points of 100"
    assert f"ResNet50 minus Baseline: {points:+.1f} points" in app.get("plotly_chart")[0].proto.alt
    app.selectbox(key="difference").set_value("macro_auc").run()
    assert charts(sound(app))[0]["layout"]["xaxis"]["title"]["text"] == "Difference in macro AUC"
    assert app.dataframe[-1].value["macro_auc"].abs().max() < 1


@pytest.mark.parametrize("view", ["Figures", "Trade-off"])
def test_an_area_is_drawn_in_decimals(finished: Path, use, open_page, view: str) -> None:
    use(finished)
    key = "figure" if view == "Figures" else "gain"
    app = sound(open_page("comparison", view=view, **{key: "macro_auc"}))
    chart = charts(app)[0]
    axis = "xaxis" if view == "Figures" else "yaxis"
    assert chart["layout"][axis]["tickformat"] == ".3~f"
    assert not any("%}" in trace.get("hovertemplate", "") for trace in chart["data"])
    assert re.search(r"Student: 0\.\d{3}", app.get("plotly_chart")[0].proto.alt)


def test_the_table_of_figures_has_areas_as_decimals_and_the_report_s_as_printed(
    finished: Path, use, open_page
) -> None:
    use(finished)
    app = sound(open_page("comparison"))
    table = next(frame.value for frame in app.dataframe if "macro_auc" in frame.value)
    assert table["macro_auc"].max() <= 1 < table["accuracy"].max()
    assert re.fullmatch(r"0\.\d{3} to \d\.\d{3}", table["macro_auc_interval"].iloc[0])
    assert re.fullmatch(r"\d+\.\d to \d+\.\d", table["accuracy_interval"].iloc[0])
    reported = table["model"].str.endswith("as reported")
    assert table["reported"].notna().tolist() == reported.tolist()
    assert table["accuracy"].notna().tolist() == (~reported).tolist()
    assert pytest.approx(66.95) in table["reported"].tolist()


def test_the_training_table_is_in_per_cent_as_its_figures_are(finished: Path, use, open_page) -> None:
    use(finished)
    app = sound(open_page("comparison", view="Training", compare="Student"))
    table = app.dataframe[-1].value
    assert (table["accuracy"].tolist(), table["val_accuracy"].tolist()) == ([40.0, 50.0], [50.0, 60.0])
    assert table["loss"].tolist() == [2, 1]


@pytest.mark.parametrize("said", ["student", "Student"])
def test_models_stand_in_the_address_by_name_or_by_title(finished: Path, use, open_page, said: str) -> None:
    use(finished)
    app = sound(open_page("comparison", compare=[said, "baseline"]))
    assert app.multiselect(key="compare").value == ["student", "baseline"]


def test_the_slow_figure_says_what_is_going_on(finished: Path, use, open_page, monkeypatch) -> None:
    use(finished)
    said: list[str] = []
    monkeypatch.setattr("streamlit.spinner", lambda text: said.append(text) or nullcontext())
    sound(open_page("comparison", view="Differences", difference="macro_auc"))
    assert "Resampling lesions for the AUC ..." in said


def test_the_lab_does_not_take_its_choices_for_its_own(finished: Path, use, open_page) -> None:
    use(finished)
    app = sound(open_page("comparison", view="Differences"))
    app.selectbox(key="against").set_value("student").run()
    app.button_group(key="view").set_value("Classes").run()
    sound(app.switch_page("pages/lab.py").run())
    assert app.toggle(key="difference-from-none").value is True


def test_thin_cohorts_are_marked(finished: Path, use, open_page) -> None:
    use(finished)
    app = sound(open_page("comparison", view="Cohorts", cohort="Sex"))
    chart = charts(app)[0]
    assert "unknown: 9 lesions, thin" in {a["text"] for a in chart["layout"]["annotations"]}
    assert all("-open" in trace["marker"]["symbol"][1] for trace in chart["data"])


def test_cohorts_by_confirmation_are_in_words(finished: Path, use, open_page) -> None:
    use(finished)
    app = sound(
        open_page("comparison", view="Cohorts", cohort="confirmation", **{"cohort-figure": "malignant_auc"})
    )
    assert "histopathology: 50 lesions, thin" in {a["text"] for a in charts(app)[0]["layout"]["annotations"]}
    table = app.dataframe[-1].value
    assert set(table["group"]) == {"histopathology"}
    assert set(table["malignant_auc"]) == {0.7}
    assert set(table["accuracy"]) == {70.0}


@pytest.mark.parametrize(
    "view", [view for view in VIEWS if view not in ("Trade-off", "Calibration", "Training")]
)
def test_a_csv_stands_beside_ours(finished: Path, use, open_page, view: str) -> None:
    use(finished)
    app = open_page("comparison", view=view)
    data = template(simulate("student", 1)).encode()
    app.file_uploader[0].set_value([("mine.csv", data, "text/csv")]).run()
    sound(app)
    assert "Your model" in texts(app.success)
    if view == "Cohorts":
        assert "need HAM10000" in texts(app.caption)
    else:
        assert "Your model" in json.dumps(charts(app)[0])


@pytest.mark.parametrize("leave", ["file", "page"])
def test_what_was_made_of_a_csv_goes_with_it(finished: Path, use, open_page, leave: str) -> None:
    use(finished)
    app = open_page("comparison", view="Differences")
    data = template(simulate("student", 1)).encode()
    app.file_uploader[0].set_value([("mine.csv", data, "text/csv")]).run()
    sound(app)
    held = {"_read", "_measure", "_cohorts", "_compare_guest"}
    assert held <= remembered()
    if leave == "file":
        app.file_uploader[0].set_value([]).run()
    else:
        app.switch_page("pages/privacy.py").run()
    sound(app)
    assert not held & remembered()


def remembered() -> set[str]:
    """The functions of which a session's cache holds a result."""
    return {
        cache.display_name.rpartition(".")[2]
        for session, found in _data_caches._function_caches.items()
        if session
        for cache in found.values()
        if cache.storage._mem_cache
    }


def test_measured_times_are_of_the_chosen_models(finished: Path, use, open_page) -> None:
    use(finished)
    app = open_page("comparison", view="Trade-off")
    app.session_state["measured-here"] = {
        name: {threads: {"median": ms, "p95": ms} for threads in ("1", "2")}
        for name, ms in (("student", 5.0), ("resnet50", 20.0))
    }
    sound(app.run())
    assert {"Student", "ResNet50"} == set(table_of_times(app)["model"])
    app.multiselect(key="compare").set_value(["resnet50", "baseline"]).run()
    (row,) = table_of_times(sound(app)).to_dict("records")
    assert (row["model"], row["times_here"]) == ("ResNet50", 4.0), "of the student's time, chosen or not"
    app.multiselect(key="compare").set_value(["baseline"]).run()
    assert table_of_times(sound(app)) is None


def table_of_times(app: AppTest) -> pd.DataFrame | None:
    """The table of this machine's times, if there is one."""
    found = [table.value for table in app.dataframe if "here_1" in table.value]
    return found[0] if found else None


def test_a_brought_model_with_a_size_is_in_the_tradeoff(finished: Path, use, open_page) -> None:
    use(finished)
    app = open_page("comparison", view="Trade-off")
    app.file_uploader[0].set_value(
        [("mine.csv", template(simulate("student", 1)).encode(), "text/csv")]
    ).run()
    assert "Your model" not in names_of(charts(app)[0])
    app.number_input(key="brought-size").set_value(5.0).run()
    assert "Your model" in names_of(charts(sound(app))[0])


def test_times_of_several_machines_stand_beside_each_other(
    finished: Path, use, open_page, tmp_path: Path
) -> None:
    folder = shutil.copytree(finished, tmp_path / "copy")
    use(folder)
    for machine, milliseconds in (("a CPU (VNNI)", 40.0), ("a CPU (AVX2)", 50.0)):
        rows = {"student": 10.0, "resnet50": milliseconds}
        models = {name: {"latency_ms": {"1": {"median": ms, "p95": ms}}} for name, ms in rows.items()}
        save(folder, "models", {"hardware": f"{machine}, 2 cores", "models": models})
        app = sound(open_page("comparison", view="Trade-off"))
        assert ("The same on 2 machines" in [one.label for one in app.expander]) is (
            machine == "a CPU (AVX2)"
        )
    frame = next(frame for frame in app.dataframe if "times_2" in frame.value)
    table, shown = frame.value, json.loads(frame.proto.columns)
    assert list(frame.proto.column_order) == ["model", "times_1", "times_2", "ms_1", "ms_2"]
    labels = [shown[key]["label"] for key in list(frame.proto.column_order)[1:]]
    assert labels == ["Times, 1", "Times, 2", "ms, 1", "ms, 2"]
    assert table.set_index("model").loc["ResNet50", ["times_1", "times_2"]].tolist() == [5.0, 4.0]
    assert "1: a CPU (AVX2), 2 cores; 2: a CPU (VNNI), 2 cores" in texts(app.caption)


def test_errors_of_a_csv_are_named_by_row_and_formulas_neutralised(finished: Path, use, open_page) -> None:
    use(finished)
    lines = template(simulate("student", 1)).splitlines()
    lines[3] = "=cmd()" + lines[3][lines[3].index(",") :]
    app = open_page("comparison")
    app.file_uploader[0].set_value([("mine.csv", "\n".join(lines).encode(), "text/csv")]).run()
    assert not app.exception
    assert "not taken" in texts(app.error)
    errors = next(frame.value for frame in app.dataframe if "problem" in frame.value)
    assert errors["row"].tolist() == [4]
    assert "Your model" not in json.dumps(charts(app)[0])


def test_what_is_wrong_with_a_csv_as_a_whole_is_a_sentence(finished: Path, use, open_page) -> None:
    """Beside the uploader, where a table would cut it off."""
    use(finished)
    head, *lines = template(simulate("student", 1)).splitlines()
    percent = [",".join([line.split(",")[0], "94", *["1"] * 6]) for line in lines]
    app = open_page("comparison")
    app.file_uploader[0].set_value([("mine.csv", "\n".join([head, *percent]).encode(), "text/csv")]).run()
    assert not app.exception
    assert "found what looks like percentages" in texts(app.error)
    assert not any("problem" in frame.value for frame in app.dataframe)
    assert "Your model" not in json.dumps(charts(app)[0])


def test_a_card_shows_figures_hashes_and_limits(finished: Path, use, open_page) -> None:
    use(finished)
    app = sound(open_page("models", card="Student"))
    heads = [head.value for head in app.subheader]
    assert {"Intended use", "Measured figures on test", "Limits", "Files"} <= set(heads)
    hashes = next(frame.value for frame in app.dataframe if "sha256" in frame.value)
    assert hashes["sha256"].str.len().eq(64).all()
    assert not any(code in texts(app.warning) for code in CODES)


def test_a_model_is_taken_home_where_it_can_be_exported(tmp_path: Path, use, open_page) -> None:
    (tmp_path / "network.tflite").write_bytes(b"network")
    for name, calibration in (("student", {"temperature": 1.0}), ("baseline", {})):
        entry = ModelEntry(name, name.title(), name, calibration=calibration)
        update_model(tmp_path, name, entry, {"litert": "network.tflite"})
    use(tmp_path)
    labels = {
        name: [button.proto.label for button in sound(open_page("models", card=name)).get("download_button")]
        for name in ("student", "baseline")
    }
    assert "Model for Python, web, Android" in labels["student"]
    assert "Card as Markdown" in labels["baseline"]
    assert "Model for Python, web, Android" not in labels["baseline"]


def test_training_runs_stand_on_the_model_cards_and_damaged_ones_are_said(
    finished: Path, use, open_page, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "artifacts"))
    use(folder)
    assert not [e for e in open_page("models").expander if "Training runs" in e.label]
    trial = Trial(
        "first", "0123", "mobilenetv2", "none (random)", "", "1x224", 1e-3, None, None, 1, "", "lesion", "HAM10000",
        9, 1, 1, 0.8, 0.7, 0.6, 5.0, "abc",
    )  # fmt: skip
    (folder / FILE).write_text(to_csv([trial]))
    update_shared(folder, {KEY: FILE})
    app = open_page("models")
    assert not app.exception
    assert [e.label for e in app.expander if "Training runs" in e.label] == [
        "Training runs that were tried (1)"
    ]
    (table,) = [frame.value for frame in app.dataframe if "val_macro_f1" in frame.value]
    assert table["name"].tolist() == ["first"]
    (folder / FILE).write_text("damaged")
    app = open_page("models")
    assert not app.exception
    assert "The table of training runs is left out" in "\n".join(w.value for w in app.warning)


@pytest.mark.parametrize(
    ("recipe", "blue"),
    [
        ({"balance": "none"}, None),
        ({"balance": "oversample"}, None),
        ({"balance": "sqrt"}, "blue is cross-entropy weighted by class"),
        ({"balance": "sqrt", "distillation": {"alpha": 0.5, "temperature": 2.0}},
         "(1 - alpha) · cross-entropy weighted by class, with alpha = 0.5 and T = 2.0"),
        ({"balance": "none", "mixup": 0.5, "focal_gamma": 2.0, "label_smoothing": 0.0},
         "blue is cross-entropy with mixup and a focal exponent"),
    ],
)  # fmt: skip
def test_two_losses_on_one_axis_are_said_to_be_two(recipe: dict, blue: str | None) -> None:
    said = two_losses(recipe)
    assert (blue in said and "red is plain cross-entropy" in said) if blue else not said


def test_the_curves_of_a_mean_are_those_of_one_run(finished: Path, use, open_page, tmp_path: Path) -> None:
    folder = tmp_path / "artifacts"
    shutil.copytree(finished, folder)
    parts = [{"name": "student-fourth", "sha256": "aaa"}, {"name": "student-third", "sha256": "bbb"}]
    provenance = {"mean_of": parts, "initial_weights": "best.npz (sha256 bbb...)"}
    update_model(folder, "student", {"provenance": provenance, "recipe": {"balance": "sqrt"}})
    use(folder)
    app = sound(open_page("comparison", view="Training", compare="Student", curve="student"))
    said = texts(app.caption).replace("\\", "")
    assert (
        "the mean of the weights of student-fourth and student-third; the curves are those of student-fourth"
        in said
    )
    assert "two different losses" in said
    assert "rebalanced" not in said
