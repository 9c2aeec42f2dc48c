"""Servers of the dashboard to be attacked, watched from their first moment on, and visitors of them."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent
WATCH = "DERMDISTILL_WATCH"


def _load(name: str, path: Path) -> ModuleType:
    """A module by its file: tests are no package."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def protocol() -> ModuleType:
    """`protocol.py`: visitors without a browser."""
    return _load("attacks_protocol", HERE / "protocol.py")


@pytest.fixture(scope="session")
def mutants() -> tuple:
    """The defences that `mutate.py` takes away."""
    return _load("attacks_mutate", HERE / "mutate.py").MUTANTS


@pytest.fixture(scope="session")
def watched() -> Callable[[Path], dict[str, str]]:
    """A function that gives the environment of a process whose doings are to be written into a file."""

    def environment(log: Path) -> dict[str, str]:
        paths = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {WATCH: str(log), "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}

    return environment


@pytest.fixture(scope="session")
def events() -> Callable[..., list[str]]:
    """A function that gives the paths of a log's events of one kind."""

    def read(log: Path, kind: str) -> list[str]:
        lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        return [line["path"] for line in lines if line["event"] == kind]

    return read


class Dashboard:
    """A running server: where it answers, its process' id, its log and the log of its doings."""

    def __init__(self, folder: Path, environment: dict[str, str], options: dict[str, str]) -> None:
        browser = _load("browser_conftest", HERE.parent / "browser" / "conftest.py")
        self._server = browser.Server(folder, {"server.disconnectedSessionTTL": "2"} | options, environment)
        self.url = self._server.url
        self.pid = self._server._process.pid
        self.log, self.doings = self._server.log, folder / "doings"

    def wait(self) -> None:
        self._server.wait()

    def stop(self) -> None:
        self._server.stop()


@pytest.fixture(scope="session")
def start_dashboard(watched) -> Callable[..., Dashboard]:
    """A function that starts a server with a folder for its logs, options and environment variables."""

    def start(folder: Path, options: dict[str, str] | None = None, **environment: str) -> Dashboard:
        nothing = {"DERMDISTILL_DATA": str(folder / "nothing")}
        dashboard = Dashboard(folder, watched(folder / "doings") | nothing | environment, options or {})
        dashboard.wait()
        return dashboard

    return start


@pytest.fixture(scope="module")
def dashboard(start_dashboard, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """One server for a file's tests, with the shipped models and without HAM10000; it must outlive all of them."""
    running = start_dashboard(tmp_path_factory.mktemp("dashboard"))
    yield running
    running.stop()
