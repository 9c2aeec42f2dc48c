"""Reports: whole, escaped, without anything from outside or from the file's metadata."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.artifacts import ModelEntry, update_model, update_shared
from core.numbers import percent
from core.serving.answer import OK, OUT_OF_DISTRIBUTION, REJECTED
from core.serving.classifier import Diagnosis, _diagnosis
from core.serving.gate import Verdict
from core.serving.intake import display_name, read_image
from core.serving.overview import SOME, overview, overview_csv
from core.serving.panel import Reading
from core.serving.quality import WORSE, Quality
from core.serving.registry import Registry
from core.serving.report import BATCH_FILE, CASE_FILE, batch_report, case_report
from core.serving.similar import SimilarLesion
from core.serving.wording import NOT_CHECKED, UNRELIABLE

HOSTILE = (
    "<script>alert(1)</script>.png",
    '"><img src=x onerror=alert(1)>.jpg',
    "{{ 7 * 7 }}{% raw %}.png",
    "Müller Ångström 1950-01-01.dcm",
    "../../etc/passwd\0.png",
    "javascript:alert(1)",
    "a" * 5000,
)
MADE = date(2030, 1, 2)


class Reader(HTMLParser):
    """What a report refers to, which elements it has, and its visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def entry(name: str, title: str) -> ModelEntry:
    return ModelEntry(
        name, title, "student", "mobilenetv2", commit="abc123", calibration={"temperature": 1.5},
        operating_point={
            "malignancy_threshold": 0.4, "validation_sensitivity": 0.95,
            "test": {"sensitivity": {"value": 0.917, "low": 0.885, "high": 0.947}},
        },
    )  # fmt: skip


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    for name, title in (("student", "MobileNetV2"), ("mine", "Mine <i>")):
        (tmp_path / f"{name}.tflite").write_bytes(name.encode())
        update_model(tmp_path, name, entry(name, title), {"litert": f"{name}.tflite"})
    (tmp_path / "gate.npz").write_bytes(b"gate")
    update_shared(tmp_path, {"gate-student": "gate.npz"})
    return Registry.open(tmp_path)


def diagnosis(name: str, leading: int = 4) -> Diagnosis:
    maps = np.zeros((7, 7, 7), np.float32)
    maps[:, 2, 3] = 1
    return _diagnosis(entry(name, name), np.eye(7)[leading] * 3, maps, np.zeros(4, np.float32))


def reading(**changes) -> Reading:
    given = {
        "name": "mine.png",
        "status": OK,
        "display": np.full((90, 120, 3), 100, np.uint8),
        "diagnoses": (diagnosis("student"), diagnosis("mine", 5)),
        "verdict": Verdict(True, "", 0.5, 1.0),
        "gate": "student",
    }
    return Reading(**given | changes)


def check_self_contained(text: str) -> Reader:
    found = Reader(text)
    assert not {"script", "link", "iframe", "object", "embed", "base", "form", "a"} & set(found.tags)
    for name, value in found.attributes:
        assert not name.startswith("on")
        if name in ("src", "href", "srcset", "action", "background"):
            assert value.startswith("data:image/jpeg;base64,")
    assert not re.search(r"url\(|@import|https?:|//[a-z]", re.sub(r"base64,[^\"]*", "", text))
    assert "default-src 'none'" in text
    return found


def test_a_case_has_all_that_was_found(registry: Registry) -> None:
    similar = [
        SimilarLesion("ISIC_0000001", "mel", 0.834, 55.0, "male", "back"),
        SimilarLesion("ISIC_2", "nv", 0.9987),
    ]
    found = check_self_contained(
        case_report(
            registry, reading(quality=Quality(("The picture is dark.",), poor=True)), similar, made=MADE
        )
    )
    text = " ".join(found.text.split())
    manifest = registry.manifest
    for wanted in (
        "Not a medical device", "2030-01-02",
        f"Poor picture; leading: Melanoma, {percent(diagnosis('student').confidence)}",
        "The picture is dark.", "worse than every picture by which the models were chosen and calibrated",
        "50% of the limit. That does not rule out a photograph by a bare camera",
        "at or above the operating point of 0.400", "91.7% (95% interval 88.5 to 94.7)",
        "Student", "Mine <i>", "Suspicious: have it looked at.", "ISIC_0000001", "0.83", "> 0.99",
        "55", "male", "back",
        "not known", "abc123", manifest.files["student.tflite"].sha256, manifest.files["gate.npz"].sha256, "1.500",
        "The two models do not agree",
    ):  # fmt: skip
        assert wanted in text, wanted
    assert found.tags.count("img") == 3


def test_a_score_just_below_the_operating_point_does_not_seem_to_reach_it(registry: Registry) -> None:
    close = reading(diagnoses=(replace(diagnosis("student"), malignancy=0.39966, suspicious=False),))
    for text in (case_report(registry, close), batch_report(registry, [close, close])):
        assert '<td class="number">0.3997</td>' in re.sub(' data-label="[^"]*"', "", text)
        assert ">0.400<" not in text


@pytest.mark.parametrize("name", HOSTILE)
def test_a_case_does_not_name_its_file_and_a_table_escapes_it(registry: Registry, name: str) -> None:
    one = reading(name=display_name(name))
    case, table = case_report(registry, one, made=MADE), batch_report(registry, [one], made=MADE)
    assert case == case_report(registry, reading(name="other.png"), made=MADE)
    found = check_self_contained(table)
    assert display_name(name).split()[0] in found.text


@pytest.mark.parametrize("text", [*HOSTILE, "</style><script>", "<!--", "&lt;b&gt;"])
def test_every_text_is_escaped(registry: Registry, text: str) -> None:
    text = text.replace("\0", "")
    one = reading(
        name=text, notes=(text,), quality=Quality((text,)), failures={text: text}, reason=text, verdict=None
    )
    similar = [SimilarLesion(text, "mel", 0.8, None, text, text)]
    assert text in check_self_contained(case_report(registry, one, similar)).text
    assert text in check_self_contained(batch_report(registry, [one])).text


def test_what_the_gate_refused_has_its_reason_and_no_class(registry: Registry) -> None:
    refused = reading(status=OUT_OF_DISTRIBUTION, reason="This looks like a cat.", diagnoses=(), verdict=None)
    found = check_self_contained(case_report(registry, refused))
    assert "Not judged. This looks like a cat." in found.text
    assert "Melanoma" not in found.text
    assert "Most likely" not in found.text
    assert found.tags.count("img") == 1


def test_without_a_gate_it_says_that_nothing_was_checked(registry: Registry) -> None:
    assert "It was not checked" in case_report(registry, reading(verdict=None))


def test_a_rejected_file_has_no_case_and_a_row(registry: Registry) -> None:
    rejected = reading(status=REJECTED, reason="It is no image.", display=None, diagnoses=())
    with pytest.raises(ValueError, match="It is no image"):
        case_report(registry, rejected)
    assert "It is no image." in batch_report(registry, [rejected])


def test_where_nothing_was_judged_nothing_is_said_of_an_order_or_a_model(registry: Registry) -> None:
    refused = reading(status=OUT_OF_DISTRIBUTION, reason="No.", diagnoses=())
    text = " ".join(check_self_contained(batch_report(registry, [refused, refused])).text.split())
    assert "2 images, none of them judged" in text
    for claim in ("says of each", "comes last", "suspicious first", "Suspicious: a malignancy score"):
        assert claim not in text


def test_the_most_suspicious_comes_first_and_what_was_not_judged_last(registry: Registry) -> None:
    readings = [
        reading(name="benign", diagnoses=(diagnosis("student", 5),)),
        reading(name="refused", status=OUT_OF_DISTRIBUTION, reason="No.", diagnoses=()),
        reading(name="suspicious", diagnoses=(diagnosis("student", 4),)),
    ]
    text = batch_report(registry, readings)
    assert text.index("suspicious") < text.index("benign") < text.index("refused")


def test_a_lesion_that_is_suspicious_to_another_model_alone_is_said_to_be_so(registry: Registry) -> None:
    divided = reading(diagnoses=(diagnosis("student", 5), diagnosis("mine", 4)), name="divided")
    calm = reading(diagnoses=(diagnosis("student", 5), diagnosis("mine", 5)), name="calm")
    assert "Suspicious to Mine &lt;i&gt;: have it looked at." in case_report(registry, divided)
    assert "have it looked at" not in case_report(registry, calm)
    assert overview([divided, calm])["suspicious"].tolist() == [SOME, "no"]
    text = Reader(batch_report(registry, [calm, divided])).text
    assert text.index("divided") < text.index("calm")
    assert "“to some” where it is that of Mine <i> alone" in " ".join(text.split())


WARNED = {
    "poor": (
        {"quality": Quality(("It is blurred.",), poor=True), "diagnoses": (diagnosis("student", 5),)},
        (UNRELIABLE, "It is blurred.", WORSE),
    ),
    "advised": ({"quality": Quality(("It is blurred.",))}, ("It is blurred.",)),
    "not checked": (
        {"verdict": None, "gate": "", "notes": ("images are not checked: gate.npz is damaged",)},
        (NOT_CHECKED, "Images are not checked: gate.npz is damaged."),
    ),
    "turned": (
        {"notes": ("in 4 orientations", "It was upright.")},
        ("In 4 orientations.", "It was upright."),
    ),
    "failed": ({"failures": {"mine": "it is damaged"}}, (" gave no answer: it is damaged.",)),
    "remembered": ({"memory": "It was learned from."}, ("It was learned from.",)),
}
"""What is special about a reading, and what everybody who takes it away must be told."""


@pytest.mark.parametrize("what", WARNED)
def test_a_table_warns_of_all_that_a_case_warns_of(registry: Registry, what: str) -> None:
    changes, sentences = WARNED[what]
    one = reading(**changes)
    case, table = (
        " ".join(Reader(made).text.split())
        for made in (case_report(registry, one), batch_report(registry, [one]))
    )
    for sentence in sentences:
        for found in (case, table, overview_csv([one])):
            assert found.count(sentence) == 1, found
    plain = reading()
    for sentence in sentences:
        assert sentence not in batch_report(registry, [plain])
        assert sentence not in overview_csv([plain])


def test_a_warning_is_the_first_thing_said_of_a_poor_picture(registry: Registry) -> None:
    one = reading(quality=Quality(("It is blurred.",), poor=True), notes=("turned",), verdict=None)
    assert f"<strong>{UNRELIABLE}</strong>" in batch_report(registry, [one])
    assert f"<strong>{UNRELIABLE}</strong>" in case_report(registry, one)
    assert overview([one])["reason"][0].startswith(UNRELIABLE)


def test_a_model_without_an_answer_has_its_name_for_people(registry: Registry) -> None:
    one = reading(failures={"resnet50": "it is damaged"})
    for text in (case_report(registry, one), batch_report(registry, [one]), overview_csv([one])):
        assert "ResNet50 gave no answer: it is damaged." in text


def test_unclear_is_explained_where_it_is_said(registry: Registry) -> None:
    calm = reading(diagnoses=(diagnosis("student", 5),))
    poor = reading(diagnoses=calm.diagnoses, quality=Quality(("It is blurred.",), poor=True))
    said = "“unclear” where it is below in a picture so poor that malignant lesions can look harmless."
    assert said in " ".join(Reader(batch_report(registry, [calm, poor])).text.split())
    assert "unclear" not in batch_report(registry, [calm])
    assert "1 image, the" in batch_report(registry, [calm])


def test_a_model_that_was_asked_is_listed_though_another_one_leads(registry: Registry) -> None:
    sums = {name: registry.manifest.files[f"{name}.tflite"].sha256 for name in ("student", "mine")}
    both, alone = reading(), reading(diagnoses=(diagnosis("student"),))
    text = batch_report(registry, [both, alone])
    assert text.index(sums["student"]) < text.index(sums["mine"])
    assert [text.count(found) for found in sums.values()] == [1, 1]
    assert sums["mine"] not in batch_report(registry, [alone])
    other = reading(diagnoses=(diagnosis("mine", 5), diagnosis("student", 4)))
    text = " ".join(Reader(batch_report(registry, [alone, other])).text.split())
    assert "What Student or Mine <i> says" in text
    assert "“to some” where it is that of Student alone" in text, "a model that leads elsewhere"


def test_what_the_picture_is_stands_in_the_report(registry: Registry) -> None:
    text = case_report(registry, reading(memory="It was <learned> from."), (), "Synthetic & drawn.")
    assert "Synthetic &amp; drawn." in text
    assert "It was &lt;learned&gt; from." in text
    assert "It was &lt;learned&gt; from." in batch_report(
        registry, [reading(memory="It was <learned> from.")]
    )
    assert overview([reading(memory="Learned.")])["reason"].tolist() == ["Learned."]


def test_pictures_carry_no_metadata(registry: Registry) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8))
    exif = picture.getexif()
    exif[0x010E] = "Jane Doe, born 1950"
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", exif=exif, comment=b"Jane Doe")
    one = reading(display=read_image(buffer.getvalue()).display)
    for text in (case_report(registry, one), batch_report(registry, [one])):
        for data in re.findall(r"base64,([^\"]+)", text):
            raw = base64.b64decode(data)
            assert b"Jane" not in raw
            assert not Image.open(io.BytesIO(raw)).getexif()


def test_the_gate_that_judged_is_listed_and_no_other(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "other.npz").write_bytes(b"another gate")
    manifest = update_shared(tmp_path, {"gate-mine": "other.npz"})
    registry = Registry(manifest)
    sums = {path: manifest.files[path].sha256 for path in ("gate.npz", "other.npz")}
    refused = reading(status="out_of_distribution", reason="No.", diagnoses=(), gate="mine")
    for text in (case_report(registry, refused), batch_report(registry, [refused])):
        assert sums["other.npz"] in text
        assert sums["gate.npz"] not in text
    assert sums["gate.npz"] in batch_report(registry, [refused, reading()])
    unjudged = case_report(registry, reading(verdict=None, gate=""))
    assert not any(found in unjudged for found in sums.values())


def test_names_of_the_files_say_nothing() -> None:
    assert (CASE_FILE, BATCH_FILE) == ("case-report.html", "report.html")


def test_on_a_narrow_page_each_cell_says_its_column(registry: Registry) -> None:
    """There the heads are hidden and a row's cells lie beneath each other."""
    text = batch_report(registry, [reading()])
    heads = re.findall(r"<th[^>]*>([^<]+)</th>", text)
    labels = re.findall(r'data-label="([^"]+)"', text)
    assert set(heads) - set(labels) == {"Image", "Model"}
    assert text.count("<thead>") == text.count('stack">') == 2


def test_it_can_be_printed(registry: Registry) -> None:
    text = case_report(registry, reading())
    assert "@media print" in text
    assert "@page" in text
