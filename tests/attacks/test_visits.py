"""Visitors who leave in the middle, who click without waiting, who stay; crowds of them are in `soak.py`."""

from __future__ import annotations

import io
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from core.data.samples import synthetic_sample

MODELS = ("Student", "Student, int8", "Student, float16", "Baseline")


def until(condition, seconds: float = 120.0) -> bool:
    """Whether something comes true in time."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if condition():
            return True
        time.sleep(0.2)
    return False


def test_tabs_closed_in_the_middle_leave_nothing_behind(dashboard, protocol) -> None:
    """Neither uploads nor threads nor held locks."""
    data = [synthetic_sample("mel", number).data for number in range(1, 6)]
    with protocol.Visitor(dashboard.url, "prediction") as visitor:
        visitor.upload("warm.jpg", data[0])
    assert until(lambda: protocol.held_uploads(dashboard.url) == 0)
    before = protocol.status_of(dashboard.pid, "Threads")
    for number in range(8):
        with protocol.Visitor(dashboard.url, "prediction", {"models": [MODELS[number % 4]]}) as visitor:
            one = data[number % 5] + bytes(number)  # new to every cache
            _, file_id = visitor.put("a.jpg", one)
            visitor.choose(("a.jpg", file_id, len(one)))
            visitor.ask()
            time.sleep(0.02 * (number % 5))
    with protocol.Visitor(dashboard.url, "prediction") as visitor:
        assert visitor.upload("after.jpg", data[1]).of("imgs"), "no lock is held"
    assert until(lambda: protocol.held_uploads(dashboard.url) == 0), "uploads are gone"
    # anyio keeps a few idle workers for static files; scripts' own threads are gone.
    assert until(lambda: protocol.status_of(dashboard.pid, "Threads") <= before + 4), "no orphan threads"


def test_rapid_clicking_ends_in_the_last_choice(dashboard, protocol) -> None:
    """Of a picture that nothing before has shown to this visitor."""
    data = {code: synthetic_sample(code, 5).data for code in ("mel", "nv", "bcc")}
    models = {"models": ["Student, int8"]}
    with protocol.Visitor(dashboard.url, "prediction", models) as another:
        expected = another.upload("bcc.jpg", data["bcc"]).answer()
    with protocol.Visitor(dashboard.url, "prediction", models) as visitor:
        ids = {code: visitor.put(f"{code}.jpg", one)[1] for code, one in data.items()}
        for click in range(12):
            code = ("mel", "nv")[click % 2]
            visitor.choose((f"{code}.jpg", ids[code], 1))
            visitor.ask()
        visitor.choose(("bcc.jpg", ids["bcc"], 1))
        visitor.ask()
        assert until(lambda: visitor.wait().answer() == expected)


def test_a_page_that_was_left_is_forgotten(dashboard, protocol) -> None:
    """Also when nobody else comes: this server forgets after two seconds, a real one after two minutes."""
    visitor = protocol.Visitor(dashboard.url, "prediction", {"models": ["Student, int8"]})
    visitor.rerun()
    (picture,) = visitor.upload("a.jpg", synthetic_sample("nv", 4).data).answer().images[:1]
    assert visitor.fetch(picture).ok
    assert visitor.rerun().answer().images
    visitor.close()
    assert until(lambda: protocol.held_uploads(dashboard.url) == 0)
    assert until(lambda: not visitor.fetch(picture).ok), "its pictures are gone, too"


def test_what_was_downloaded_is_gone_with_the_visit(dashboard, protocol) -> None:
    """A report has the patient's picture in it, a table the files' names."""
    visitor = protocol.Visitor(dashboard.url, "prediction", {"models": ["Student, int8"]})
    visitor.rerun()
    page = visitor.upload("Jane Doe.jpg", synthetic_sample("nv", 4).data)
    addresses = [visitor.download(button).url for button in page.of("download_button")]
    assert addresses
    addresses = [address.removeprefix(dashboard.url) for address in addresses]
    assert all(visitor.fetch(address).ok for address in addresses)
    visitor.close()
    assert until(lambda: not any(visitor.fetch(address).ok for address in addresses))


def test_what_was_downloaded_goes_with_the_image_that_it_was_made_of(dashboard, protocol) -> None:
    with protocol.Visitor(dashboard.url, "prediction", {"models": ["Student, int8"]}) as visitor:
        page = visitor.upload("a.jpg", synthetic_sample("nv", 4).data)
        (report,) = [visitor.download(button).url for button in page.of("download_button")]
        visitor.choose()
        assert not visitor.rerun().of("download_button")
        assert not visitor.fetch(report.removeprefix(dashboard.url)).ok


def test_a_report_waits_for_its_visitor_while_others_click(dashboard, protocol) -> None:
    """Over a slow line others' pages run several times before a browser has asked for what was made."""
    query = {"models": ["Student, int8"]}
    with protocol.Visitor(dashboard.url, "prediction", query) as visitor:
        page = visitor.upload("a.jpg", synthetic_sample("nv", 4).data)
        (report,) = [visitor.download(button).url for button in page.of("download_button")]
        with protocol.Visitor(dashboard.url, "privacy") as other:
            for _ in range(3):
                other.rerun()
        assert visitor.fetch(report.removeprefix(dashboard.url)).ok


def test_a_page_that_came_back_for_a_moment_is_forgotten_too(dashboard, protocol) -> None:
    """After a short loss of the network nothing runs, so that of the visit's real end nobody is told."""
    assert until(lambda: protocol.held_uploads(dashboard.url) == 0)
    visitor = protocol.Visitor(dashboard.url, "prediction", {"models": ["Student, int8"]})
    visitor.rerun()
    (picture,) = visitor.upload("a.jpg", synthetic_sample("nv", 4).data).answer().images[:1]
    visitor.reconnect()
    time.sleep(6)  # longer than a visit that is away is waited for
    assert visitor.fetch(picture).ok, "it has come back"
    visitor.close()
    assert until(lambda: protocol.held_uploads(dashboard.url) == 0, 30)
    assert until(lambda: not visitor.fetch(picture).ok)


def test_who_goes_to_another_page_takes_the_upload_along(dashboard, protocol) -> None:
    """The tab stays open, and its browser takes back only what is removed within the field."""
    assert until(lambda: protocol.held_uploads(dashboard.url) == 0)
    with protocol.Visitor(dashboard.url, "prediction", {"models": ["Student, int8"]}) as visitor:
        visitor.upload("a.jpg", synthetic_sample("nv", 4).data)
        assert visitor.rerun().answer().images
        assert protocol.held_uploads(dashboard.url) > 0
        visitor.go("privacy")
        assert protocol.held_uploads(dashboard.url) == 0
        visitor.go("prediction")
        visitor.upload("a.jpg", synthetic_sample("nv", 5).data)
        assert visitor.rerun().answer().images, "and the next one is read as ever"


def test_an_upload_goes_also_with_a_page_whose_address_names_no_source(dashboard, protocol) -> None:
    assert until(lambda: protocol.held_uploads(dashboard.url) == 0)
    with protocol.Visitor(dashboard.url, "prediction", {"source": ""}) as visitor:
        visitor.upload("a.jpg", synthetic_sample("nv", 4).data)
        assert protocol.held_uploads(dashboard.url) > 0
        visitor.go("privacy")
        assert protocol.held_uploads(dashboard.url) == 0


def test_a_page_that_stays_open_keeps_its_upload(dashboard, protocol) -> None:
    """Longer than what is forgotten of those who left; an hour is no different, there is no other clock."""
    with protocol.Visitor(dashboard.url, "prediction", {"models": ["Student, int8"]}) as visitor:
        before = visitor.upload("a.jpg", synthetic_sample("nv", 4).data).answer()
        time.sleep(6)
        assert visitor.rerun().answer() == before


def test_photographs_that_come_and_go_leave_memory_as_it_was(dashboard, protocol) -> None:
    """Of 7 megapixels, three visits at a time; without its limits the heap grows by 100 MB and more."""

    def visit(number: int) -> None:
        lesion = Image.open(io.BytesIO(synthetic_sample("mel", 1 + number).data)).resize((3000, 2250))
        target = io.BytesIO()
        lesion.save(target, "JPEG", quality=90)
        with protocol.Visitor(dashboard.url, "prediction", {"models": ["Student, int8"]}) as visitor:
            assert visitor.upload("a.jpg", target.getvalue()).of("text")

    def settle() -> int:
        assert until(lambda: protocol.held_uploads(dashboard.url) == 0)
        time.sleep(3)  # until the last visit is forgotten
        return protocol.status_of(dashboard.pid, "VmRSS")

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(visit, range(6)))
        before = settle()
        list(pool.map(visit, range(6, 30)))
        after = settle()
    print(f"\n24 photographs: {before / 1e3:.0f} MB before, {after / 1e3:.0f} MB after")
    assert after - before < 50_000, "kilobytes"


@pytest.fixture(autouse=True)
def no_traceback(dashboard):
    """Whatever visitors do, the server's log has no traceback of ours."""
    yield
    assert "Traceback" not in dashboard.log.read_text()
