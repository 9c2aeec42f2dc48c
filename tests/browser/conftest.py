"""A real server of the dashboard and a real browser on it; skipped, with the reason, where there is no browser."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.settings import ROOT

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
STARTS_WITHIN = 60.0
"""Seconds; a machine busy with other tests is slow."""


def pick_port() -> int:
    """A port of this machine that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """`streamlit run app.py` on a free port of this machine.

    Attributes:
        url: where it answers.
        log: what it has written so far.
    """

    def __init__(self, folder: Path, options: dict[str, str], environment: dict[str, str]) -> None:
        options = {"server.port": str(pick_port()), "server.headless": "true"} | options
        self.url = f"http://localhost:{options['server.port']}"
        self.log = folder / "server.log"
        command = [sys.executable, "-m", "streamlit", "run", "app.py"]
        for key, value in options.items():
            command += [f"--{key}", value]
        environment = os.environ | {"PYTHONUNBUFFERED": "1"} | environment
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait(self) -> None:
        """Until it answers.

        Raises:
            RuntimeError: it ended, or does not answer.
        """
        ends = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < ends and self._process.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/_stcore/health") as answer:
                if answer.status == 200:
                    return
            time.sleep(0.2)
        raise RuntimeError(f"the server does not answer:\n{self.log.read_text()}")

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def free_port() -> int:
    """A port that a server must know before it starts."""
    return pick_port()


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """A function that starts a server, with options such as `{"secrets.files": path}` and environment variables."""
    running: list[Server] = []

    def start(options: dict[str, str] | None = None, **environment: str) -> Server:
        server = Server(tmp_path, options or {}, environment)
        running.append(server)
        server.wait()
        return server

    yield start
    for server in running:
        server.stop()


@pytest.fixture(scope="session")
def dashboard(tmp_path_factory: pytest.TempPathFactory, browser: object) -> Iterator[Server]:
    """One server for all visits, with the shipped models and without HAM10000; `browser` is there, or it all skips."""
    folder = tmp_path_factory.mktemp("without-data")
    yield from _running(folder, DERMDISTILL_DATA=str(folder / "nothing"))


@pytest.fixture(scope="session")
def dashboard_with_data(
    tmp_path_factory: pytest.TempPathFactory, browser: object, ham10000: object
) -> Iterator[Server]:
    """The same with HAM10000."""
    yield from _running(tmp_path_factory.mktemp("with-data"))


def _running(folder: Path, **environment: str) -> Iterator[Server]:
    server = Server(folder, {}, {"DERMDISTILL_ARTIFACTS": str(ROOT / "artifacts")} | environment)
    try:
        server.wait()
        yield server
    finally:
        server.stop()


@pytest.fixture(autouse=True)
def no_tracebacks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a visit during which one of the shared servers wrote a traceback."""
    servers = [
        request.getfixturevalue(name)
        for name in ("dashboard", "dashboard_with_data")
        if name in request.fixturenames
    ]
    before = [len(server.log.read_text()) for server in servers]
    yield
    written = "".join(server.log.read_text()[start:] for server, start in zip(servers, before, strict=True))
    assert "Traceback" not in written, written


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """Chromium, headless."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"needs a browser: none of {', '.join(BROWSERS)} is installed")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser) -> Iterator[Callable]:
    """A function that opens an address in a browser of its own (no cookies); its page fails on console errors."""
    contexts, errors = [], []

    def is_ours(message, url: str) -> bool:
        """An error of the dashboard's own pages, not of a site that it sends people to.

        Streamlit looks for its server beneath a deep link first (`/prediction/_stcore/...`) and finds none there.
        """
        where = message.location["url"]
        probes = "/_stcore/" in where and "404" in message.text
        return message.type == "error" and where.startswith(url[: url.find("/", 8)]) and not probes

    def open_address(url: str, width: int = 1440, height: int = 900, **options: object):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on(
            "console",
            lambda message: (
                errors.append(f"{message.text} {message.location}") if is_ours(message, url) else None
            ),
        )
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        return page

    yield open_address
    for context in contexts:
        context.close()
    assert errors == []
