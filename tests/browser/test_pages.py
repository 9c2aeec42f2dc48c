"""The main path of every page, on the shipped models and without HAM10000: a real server and a real browser.

Each visit fails on an error in the browser's console, an exception on the page, and a traceback in the server's log.
"""

from __future__ import annotations

import io
import re
import zipfile

import cv2
import numpy as np
import pytest

from core.data.samples import synthetic_sample
from core.evaluation.brought import template
from core.evaluation.contestants import read_predictions
from core.evaluation.predictions import Predictions
from core.lesions import CODES
from core.manifest import Manifest
from core.serving.answer import OK, Diagnoser
from core.serving.panel import choose_models
from core.serving.registry import KNOWN, Registry
from core.settings import ROOT
from tests.browser.steps import box, choose, download, on_page, press, says, settled, upload

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.open(ROOT / "artifacts")


@pytest.fixture(scope="module")
def manifest(registry: Registry) -> Manifest:
    if not registry.usable():
        pytest.skip("needs a model among the artifacts")
    return registry.manifest


@pytest.fixture(scope="module")
def own_image(registry: Registry, manifest: Manifest) -> bytes:
    """A picture that the gate takes for a dermatoscopic one."""
    diagnoser = Diagnoser.open(registry, choose_models(registry.usable())[0])
    for number in range(1, 9):
        for code in CODES:
            data = synthetic_sample(code, number).data
            if diagnoser.answer(data).status == OK:
                return data
    pytest.fail("expected the gate to keep one of 56 synthetic lesions, found none")


@pytest.fixture(scope="module")
def answered(manifest: Manifest) -> Predictions:
    """The first model's answers to validation and test."""
    for name, entry in manifest.models.items():
        if "predictions" in entry.files:
            return read_predictions(manifest, name)
    pytest.skip("needs a model with predictions among the artifacts")


@pytest.mark.parametrize(
    ("door", "title"),
    [("Try an image", "Prediction"), ("Open the lab", "Distillation lab"), ("Compare models", "Comparison")],
)
def test_the_overview_has_three_doors(dashboard, visit, door: str, title: str) -> None:
    page = on_page(visit(dashboard.url), "DermDistill")
    page.get_by_role("link", name=door).click()
    on_page(page, title)
    page.wait_for_function("wanted => document.title === wanted", arg=f"{title} · DermDistill")


def test_on_a_phone_the_models_names_stay_beside_their_figures(dashboard, visit, manifest) -> None:
    page = on_page(visit(dashboard.url, width=420), "DermDistill")
    table = page.get_by_role("region", name="Each model's accuracy")
    name, note = (table.get_by_text(text, exact=True).first for text in ("Model", "Note"))
    note.scroll_into_view_if_needed()
    assert table.evaluate("box => box.scrollLeft") > 0
    assert 0 <= name.bounding_box()["x"] - table.bounding_box()["x"] < 30


def test_where_nothing_hovers_a_figure_s_button_waits_for_a_tap(dashboard, visit, manifest) -> None:
    page = on_page(visit(dashboard.url, width=420, has_touch=True, is_mobile=True), "DermDistill")
    figure = page.get_by_test_id("stPlotlyChart").first
    button = figure.locator(".modebar")
    button.wait_for(state="attached")
    assert button.evaluate(OPACITY) == "0"
    figure.tap()
    page.wait_for_function(
        "() => getComputedStyle(document.querySelector('[data-testid=stPlotlyChart] .modebar')).opacity === '1'"
    )


@pytest.mark.parametrize(("before", "after"), [("light", "Dark"), ("dark", "Light")])
def test_figures_follow_the_theme_that_is_chosen_in_the_menu(
    dashboard, visit, manifest, before: str, after: str
) -> None:
    drawn = on_page(visit(f"{dashboard.url}/comparison", color_scheme=after.lower()), "Comparison")
    wanted = looks(drawn)
    page = on_page(visit(f"{dashboard.url}/comparison", color_scheme=before), "Comparison")
    assert looks(page) != wanted
    page.get_by_test_id("stMainMenu").locator("button").click()
    page.get_by_test_id("stMainMenuPopover").get_by_text(after).last.click()
    page.wait_for_function(f"wanted => JSON.stringify(({LOOKS})()) === wanted", arg=wanted)


LOOKS = """() => ['.xtick text', '.annotation-text', '.xtitle'].map(
  part => getComputedStyle(document.querySelector('.js-plotly-plot ' + part)).fill)"""


def looks(page) -> str:
    """The colours of a figure's texts, once it is drawn."""
    page.locator(".js-plotly-plot .annotation-text").first.wait_for()
    return page.evaluate(f"() => JSON.stringify(({LOOKS})())")


OPACITY = "element => getComputedStyle(element).opacity"
CONTRAST = """element => {
  const light = colour => {
    const parts = colour.match(/[0-9.]+/g).slice(0, 3).map(part => part / 255)
      .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2] + 0.05;
  };
  const {color, backgroundColor} = getComputedStyle(element);
  const both = [light(color), light(backgroundColor)];
  return Math.max(...both) / Math.min(...both);
}"""
"""Of an element's words against its own ground, as WCAG 2.2 defines it."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_on_the_theme_s_own_colour_can_be_read(dashboard, visit, manifest, scheme: str) -> None:
    page = on_page(visit(f"{dashboard.url}/lab", color_scheme=scheme), "Distillation lab")
    tag = page.locator("[data-tag]").first
    tag.wait_for()
    assert tag.evaluate(CONTRAST) >= 4.5
    assert page.get_by_test_id("stBaseButton-primary").first.evaluate(CONTRAST) >= 4.5


def test_an_own_image_is_read_its_map_changed_and_its_report_taken_home(dashboard, visit, own_image) -> None:
    page = on_page(visit(f"{dashboard.url}/prediction"), "Prediction")
    says(page, "What the models can name")
    upload(page, "patient-name.jpg", own_image, "image/jpeg")
    says(page, re.compile("^(Most likely|Uncertain; leading): "))
    says(page, "patient-name.jpg")
    settled(page)
    choose(page, "Map of", "Basal cell carcinoma")
    says(page, re.compile("Map of Basal cell carcinoma"))
    report = download(page, "Case report").decode()
    assert "Not a medical device" in report
    assert "patient-name" not in report


def test_what_is_no_lesion_gets_no_class(dashboard, visit, manifest) -> None:
    if not any(key.startswith("gate-") for key in manifest.shared):
        pytest.skip("needs a gate among the artifacts")
    noise = np.random.default_rng(1).integers(0, 256, (300, 300, 3), np.uint8)
    page = on_page(visit(f"{dashboard.url}/prediction"), "Prediction")
    upload(page, "noise.png", cv2.imencode(".png", noise)[1].tobytes(), "image/png")
    says(page, "Not judged.")
    assert settled(page).get_by_text(re.compile("^(Most likely|Uncertain)")).count() == 0


def test_a_sample_in_all_orientations_by_its_link(dashboard, visit, manifest) -> None:
    link = "/prediction?source=Sample&class=bcc&number=2&orientations=true"
    page = on_page(visit(dashboard.url + link), "Prediction")
    says(page, "synthetic-bcc-2.jpg")
    says(page, re.compile("8 orientations"))
    assert "class=Basal+cell+carcinoma" in page.url


def test_the_dataset_page_filters_and_opens_an_image(dashboard, visit, manifest) -> None:
    page = on_page(visit(f"{dashboard.url}/dataset?section=Images"), "Dataset")
    says(page, "HAM10000 is not at hand.")
    before = page.get_by_text(re.compile("of [0-9,]+ images")).first.inner_text()
    choose(page, "Diagnosis", "Melanoma", "stMultiSelect")
    page.wait_for_function(
        "before => ![...document.querySelectorAll('p')].some(p => p.innerText === before)", arg=before
    )
    assert "dx=Melanoma" in page.url
    settled(page).locator('[class*="st-key-open-"] button').first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("What the models say").wait_for()
    dialog.get_by_text("Synthetic: drawn by a program").wait_for()
    assert "image=" in page.url
    dialog.get_by_role("button", name="Close").click()
    dialog.wait_for(state="hidden")
    page.wait_for_url(lambda url: "image=" not in url)


def test_a_click_on_a_cell_lists_its_images(dashboard, visit, answered) -> None:
    page = on_page(visit(f"{dashboard.url}/confusion?of={answered.model}"), "Confusion")
    says(page, "Click a cell to see its images")
    cells = page.locator(f".st-key-matrix-{answered.model} .scatterlayer .point")
    cell = cells.nth(CODES.index("nv") * len(CODES) + CODES.index("nv"))
    cell.wait_for(state="attached")
    hover = page.locator(".hoverlayer .hovertext").first
    for _ in range(
        60
    ):  # Plotly takes no click before it has seen the mouse, and sees it only once it listens
        page.mouse.move(0, 0)
        cell.hover(force=True)
        page.wait_for_timeout(500)
        if hover.is_visible():
            break
    hover.wait_for(timeout=1000)
    cell.click(force=True)
    says(page, re.compile(r"images of Melanocytic nevus .Melanocytic nevus., the surest first"))
    says(page, "No pictures: they are HAM10000's")
    assert "true=Melanocytic+nevus" in settled(page).url
    press(page, "One class")
    says(page, re.compile(": Melanoma, or not$"))
    press(page, "Worst errors")
    says(page, "Which errors")
    settled(page)


def test_an_own_csv_stands_beside_ours_and_a_wrong_one_is_told_by_row(dashboard, visit, answered) -> None:
    page = on_page(visit(f"{dashboard.url}/comparison"), "Comparison")
    page.get_by_text("Bring your own model").click()
    wrong = download(page, "Template with all image ids").decode()
    assert wrong == template(answered)
    lines = wrong.splitlines()
    lines[2] = lines[2].rsplit(",", 1)[0] + ",2.5"
    upload(page, "wrong.csv", "\n".join(lines).encode(), "text/csv")
    says(page, "Your file was not taken")
    errors = download(page, "Errors as CSV").decode().splitlines()
    assert errors[1].startswith("3")
    page.get_by_test_id("stFileChipDeleteBtn").locator("button").first.click()
    page.get_by_text("Your file was not taken").wait_for(state="hidden")
    upload(page, "own.csv", wrong.encode(), "text/csv")
    says(page, "“Your model” stands in every figure below but Training and Compression.")
    for view in ("Curves", "Differences"):
        press(page, view)
        page.locator(".js-plotly-plot").get_by_text("Your model").first.wait_for()
        settled(page)


def test_the_lab_is_told_from_top_to_bottom(dashboard, visit, answered) -> None:
    page = on_page(visit(f"{dashboard.url}/lab"), "Distillation lab")
    says(page, re.compile(r"Filled: T = 2\."))
    page.get_by_test_id("stSlider").filter(has_text="Temperature T").first.get_by_role("slider").press(
        "ArrowRight"
    )
    says(page, re.compile(r"Filled: T = 3\."))
    says(page, "3 · Dark knowledge")
    said = page.locator("p").filter(has_text="Two readings of alpha").inner_text()
    page.get_by_test_id("stSlider").filter(has_text="Weight alpha").first.get_by_role("slider").press(
        "ArrowLeft"
    )
    page.wait_for_function("said => !document.body.innerText.includes(said)", arg=said)
    for chapter in ("5 · Why the report's student collapsed", "6 · What distillation gives", "8 · Live"):
        page.get_by_role("heading", name=chapter).scroll_into_view_if_needed()
    says(page, "Each of the report's mistakes was made again")
    page.get_by_role("button", name="Train").first.wait_for()
    settled(page)


def test_a_model_card_is_chosen_and_taken_home(dashboard, visit, manifest, registry) -> None:
    *_, name = (name for name, entry in manifest.models.items() if "litert" in entry.files)  # no ensemble
    page = on_page(visit(f"{dashboard.url}/models"), "Model cards")
    choose(page, "Model", KNOWN[name].title if name in KNOWN else registry.state(name).title)
    page.get_by_role("heading", name=manifest.models[name].title, exact=True).wait_for()
    card = download(page, "Card as Markdown").decode()
    assert manifest.models[name].title in card.splitlines()[0]
    assert "## Limits" in card
    with zipfile.ZipFile(io.BytesIO(download(page, "Model for Python, web, Android"))) as folder:
        assert folder.testzip() is None
        assert {f"{name}/{name}.tflite", f"{name}/README.md", f"{name}/classify.py"} <= set(folder.namelist())


@pytest.mark.parametrize(
    ("link", "label", "words"),
    [
        ("dataset?section=Splits", None, "Lesions that the report's split leaks"),
        ("dataset?section=Balancing&effect=Images+an+epoch+shows", None, "Filled bars are after balancing"),
        ("comparison?view=Classes", None, "Per cent of a class' images"),
        ("comparison?view=Curves&diagnosis=bcc", "Class against the rest", "Basal cell carcinoma"),
        ("confusion?aspect=Worst+errors&errors=missed", "Which errors", "Malignant lesions named benign"),
        ("confusion?true=mel&named=nv", "Named by the model", "Melanocytic nevus"),
        ("models?card=student", "Model", "Student"),
        ("lab?lab-class=bcc", "True class", "Basal cell carcinoma"),
        ("privacy", None, "For everybody who uploads"),
    ],
)
def test_a_link_opens_what_it_names(
    dashboard, visit, answered, link: str, label: str | None, words: str
) -> None:
    page = visit(f"{dashboard.url}/{link}")
    if label is None:
        says(page, words)
    else:
        box(page, label).wait_for()
        page.wait_for_function(
            "([label, words]) => [...document.querySelectorAll('[data-testid=stSelectbox]')].some("
            "one => one.innerText.includes(label) && (one.innerText + (one.querySelector('input')?.value ?? ''))"
            ".includes(words))",
            arg=[label, words],
        )
    settled(page)
