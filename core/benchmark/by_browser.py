"""A visit to the real server with a real browser, by Playwright."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from core.benchmark.app import SIDE_BY_SIDE, AppTimes
from core.benchmark.process import family
from core.errors import UserError
from core.settings import ROOT

Page = Any
"""`playwright.sync_api.Page`. Playwright is needed for the tests and here alone, so it is no requirement."""

Locator = Any
"""`playwright.sync_api.Locator`, likewise."""

START_S, WAIT_MS = 120, 120_000
TRIES = 10
"""Clicks after which a list has opened, or never will."""

_PATHS = ("chromium", "chromium-browser", "google-chrome")
_BROWSER = ("--no-sandbox", "--disable-dev-shm-usage")

WATCH = """
  const now = () => performance.now();
  const painted = (note) => requestAnimationFrame(() => setTimeout(note));
  const drawn = () => painted(() => { window.changed = now(); });
  window.asked = window.ended = window.changed = 0;
  new MutationObserver((records) => {
    for (const {target, attributeName} of records) {
      if (attributeName === 'data-test-script-state') {
        if (target.dataset.testScriptState === 'notRunning') painted(() => { window.ended = now(); });
      } else if ((target.closest || (() => null)).call(target, '[data-testid="stMain"]')) drawn();
    }
  }).observe(document, {childList: true, subtree: true, attributes: true,
                        attributeFilter: ['src', 'd', 'data-test-script-state']});
  document.addEventListener('load', (event) => { if (event.target.tagName === 'IMG') drawn(); }, true);
  document.addEventListener('click', () => { window.asked = now(); }, true);
  document.addEventListener('change', (event) => {
    if (event.target.type === 'file') window.asked = now();
  }, true);
"""
"""Notes when the mouse was last pressed or a file chosen, when the script's last run ended, and when anything on the
page last changed or an image came, both once that is on the screen: in the browser itself, since Playwright looks only
now and then (after 20, 70, 170, 270, 770 ms), and its own delays are nobody's wait. Runs in every new document."""

DONE = """() => {
  const last = Math.max(window.ended, window.changed);
  const running = document.querySelector('[data-testid="stApp"]').dataset.testScriptState !== 'notRunning';
  const waiting = [...document.querySelectorAll('[data-testid="stImage"] img')]
    .some(image => !image.complete && image.checkVisibility() && image.loading !== 'lazy');
  if (running || waiting || last < window.asked) return false;
  return performance.now() - last > (window.ended > window.asked ? 100 : 3000);
}"""
"""Whether the run behind the last click or file has ended and all of it is on the screen; a run so short that the
browser never showed it is over when nothing has changed for three seconds."""

AT_REST = "() => performance.now() - Math.max(window.ended, window.changed) > 1000"
"""Whether nothing has happened on the page for a second."""

LAST_CHANGE = "() => performance.timeOrigin + Math.max(window.ended, window.changed)"
"""When the page last changed, in milliseconds since 1970: comparable with this process' clock."""


class NoVisit(UserError):
    """The server or the browser does not start, or a page does not come."""


@dataclass(frozen=True)
class Browser:
    """A browser to drive: its name, and where it lies (None: Playwright's own)."""

    name: str
    path: str | None


def find() -> Browser | None:
    """The browser of this machine; None without Playwright or without a browser."""
    if find_spec("playwright") is None:
        return None
    found = next((path for name in _PATHS if (path := shutil.which(name))), None)
    if found:
        return Browser(Path(found).name, found)
    with _playwright().sync_playwright() as playwright:
        return Browser("chromium", None) if Path(playwright.chromium.executable_path).exists() else None


def visit(browser: Browser, uploads: Sequence[Path]) -> AppTimes:
    """Start a server, open the overview, upload pictures, click through the pages.

    Raises:
        NoVisit: something of it does not come.
    """
    library = _playwright()
    try:
        with library.sync_playwright() as playwright:
            window = playwright.chromium.launch(executable_path=browser.path, args=list(_BROWSER))
            try:
                page = window.new_page(viewport={"width": 1440, "height": 900})
                page.add_init_script(WATCH)
                page.set_default_timeout(WAIT_MS)
                try:
                    return _visit(page, uploads)
                except library.Error as error:
                    raise NoVisit(
                        f"{page.url}: expected the page to go on, found: {_first_line(error)}"
                    ) from error
            finally:
                window.close()
    except library.Error as error:
        raise NoVisit(f"expected {browser.name} to start, found: {_first_line(error)}") from error


def _visit(page: Page, uploads: Sequence[Path]) -> AppTimes:
    start = time.time()
    with server() as (process, address):
        page.goto(address)
        _drawn(page, "stPlotlyChart")
        cold = page.evaluate(LAST_CHANGE) / 1e3 - start
        page.goto(f"{address}/prediction?{SIDE_BY_SIDE}=true")
        _drawn(page, "stFileUploader")
        first, *later = [_upload(page, path) for path in uploads]
        reruns = [*_choose_colours(page), *_choose_views(page, address)]
        return AppTimes(cold, first, tuple(later), tuple(reruns), has_loaded(process.pid))


def _upload(page: Page, path: Path) -> float:
    """Seconds from the choice of a file to its verdict and maps; the file before is taken out first."""
    before = page.get_by_test_id("stFileChipDeleteBtn").locator("button")
    if before.count():
        _until_rerun(page, before.first.click)
    chooser = page.get_by_test_id("stFileUploaderDropzoneInput").first
    name = page.get_by_test_id("stText").get_by_text(path.name)
    image = page.get_by_test_id("stImage")
    seconds = _until_rerun(page, partial(chooser.set_input_files, path), [name, image])
    # The name stands above the verdict; the picture and its map are the last things on the page.
    if not name.count() or not image.count():
        raise NoVisit(f"{page.url}: expected the verdict on {path.name} and its maps, found neither or one")
    return seconds


def _drawn(page: Page, kind: str) -> None:
    """Wait for a page: its run has ended, there is one of these elements, and nothing changes any more."""
    page.get_by_test_id(kind).first.wait_for()
    page.wait_for_function(DONE)
    page.wait_for_function(AT_REST)


def _choose_colours(page: Page) -> list[float]:
    """Seconds of the reruns behind every choice of the maps' colours, on the prediction page."""
    box = page.get_by_test_id("stSelectbox").filter(has_text="Colours").first
    # At the window's edge a list closes as soon as it has opened.
    box.evaluate("box => box.scrollIntoView({block: 'center'})")
    count = _open(page, box)
    page.keyboard.press("Escape")

    def choose(number: int) -> None:
        _open(page, box)
        page.get_by_role("option").nth(number).click()

    return [_until_rerun(page, partial(choose, number)) for number in [*range(1, count), 0]]


def _open(page: Page, box: Locator) -> int:
    """Open a select box, which may still be closing or be drawn anew, and count its options."""
    options = page.get_by_role("option")
    page.wait_for_function(AT_REST)
    for _ in range(TRIES):
        box.locator("input").click()
        page.wait_for_timeout(300)
        if options.count():
            break
    return options.count()


def _choose_views(page: Page, address: str) -> list[float]:
    """Seconds of the reruns behind every choice of the comparison's views, twice."""
    page.goto(f"{address}/comparison")
    _drawn(page, "stPlotlyChart")
    views = page.get_by_test_id("stButtonGroup").first.locator("button")
    order = [*range(1, views.count()), 0] * 2
    return [_until_rerun(page, views.nth(number).click) for number in order]


def _until_rerun(page: Page, act: Callable[[], Any], shows: Sequence[Locator] = ()) -> float:
    """Seconds from a click or the choice of a file to the last change on the screen that its run makes.

    Args:
        page: in which it happens.
        act: clicks, or chooses.
        shows: what the run brings. A server that still loads is silent for longer than a run that is not seen, and a
            browser that draws its first picture for longer than one that has ended.
    """
    act()
    for locator in shows:
        locator.first.wait_for()
    page.wait_for_function(DONE)
    return page.evaluate("() => Math.max(window.ended, window.changed) - window.asked") / 1e3


@contextmanager
def server() -> Iterator[tuple[subprocess.Popen, str]]:
    """The dashboard on a free port, and its address once it answers; ended afterwards with all that it started."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless", "true"]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [*command, "--server.port", str(port)], cwd=ROOT, stdout=log, stderr=log, env=dict(os.environ)
        )
        try:
            _wait_for(process, port)
            yield process, f"http://localhost:{port}"
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(process: subprocess.Popen, port: int) -> None:
    until = time.perf_counter() + START_S
    while time.perf_counter() < until:
        if process.poll() is not None:
            raise NoVisit(
                f"expected the server to start, found that it ended with status {process.returncode}"
            )
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise NoVisit(f"expected the server to answer within {START_S} s, found nothing on port {port}")


def has_loaded(process: int, library: str = "tensorflow") -> bool | None:
    """Whether a process or one that it started has mapped a file of a library; None where the system does not say."""
    found = None
    for one in family(process):
        try:
            maps = Path(f"/proc/{one}/maps").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        found = bool(found) or f"/{library}/" in maps
    return found


def _playwright() -> ModuleType:
    return import_module("playwright.sync_api")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
