"""Nothing is fetched from any network: sockets to anything but this machine are closed, and nobody even knocks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from core.data.samples import synthetic_sample
from core.settings import ROOT

LOCAL, AWAY = "127.0.0.1", "192.0.2.1"
"""The second is an address of no machine (RFC 5737)."""


@pytest.mark.parametrize(
    "call",
    [
        f"import socket; socket.create_connection(('{AWAY}', 80), 1)",
        "import urllib.request; urllib.request.urlopen('http://example.invalid', timeout=1)",
        f"import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b'x', ('{AWAY}', 53))",
        f"import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('{AWAY}', 1))",
    ],
)
def test_the_watch_refuses_and_tells(watched, events, tmp_path: Path, call: str) -> None:
    """Otherwise the tests below could not fail."""
    done = subprocess.run(
        [sys.executable, "-c", call],
        env=os.environ | watched(tmp_path / "doings"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "unreachable" in done.stderr
    assert len(events(tmp_path / "doings", "network")) >= 1


def test_the_watch_lets_this_machine_through(watched, events, tmp_path: Path) -> None:
    call = (
        f"import socket; s = socket.create_server(('{LOCAL}', 0)); socket.create_connection(s.getsockname())"
    )
    subprocess.run([sys.executable, "-c", call], env=os.environ | watched(tmp_path / "doings"), check=True)
    assert events(tmp_path / "doings", "network") == []


def test_the_dashboard_and_a_prediction_need_no_network(dashboard, protocol, events) -> None:
    """From the server's first moment on: every page, a verdict with its maps, and the case report."""
    pages = sorted(path.stem for path in (ROOT / "pages").glob("[a-z]*.py"))
    for name in pages:
        with protocol.Visitor(dashboard.url, name) as visitor:
            assert not visitor.page.of("exception"), name
    with protocol.Visitor(dashboard.url, "prediction") as visitor:
        page = visitor.upload("a.jpg", synthetic_sample("nv", 1).data)
        assert page.of("imgs")
        (report,) = [visitor.download(button) for button in page.of("download_button")]
        assert b"<html" in report.content
    assert events(dashboard.doings, "read"), "the watch saw the models being read"
    assert events(dashboard.doings, "network") == []


def test_what_pages_send_names_no_other_machine(dashboard, protocol) -> None:
    """No picture, script or font that a browser would fetch from elsewhere; links that a person clicks are text."""
    with protocol.Visitor(dashboard.url, "prediction") as visitor:
        page = visitor.upload("a.jpg", synthetic_sample("nv", 1).data)
        assert all(address.startswith("/") for address in page.answer().images)
        assert not page.of("iframe")
        verdict = [drawn for drawn in page.of("html") if not drawn.body.startswith("<style>")]
        assert len(verdict) == 2, "the gauge and the bars"
        for part in verdict:
            assert set(re.findall(r"<(\w+)", part.body)) <= {"div", "span", "b"}, (
                "nothing that could fetch or run"
            )
            assert not re.search(r"url\(|//|\bon\w+=|a\.jpg", part.body)
            assert not part.unsafe_allow_javascript
        index = visitor.fetch("/").text
    fetched = [
        part for part in index.replace("'", '"').split('"') if part.startswith(("http://", "https://", "//"))
    ]
    assert fetched == []


def test_the_health_check_needs_no_network(watched, events, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "core", "models", "--check"],
        cwd=ROOT,
        env=os.environ | watched(tmp_path / "doings"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "works (" in done.stdout, done.stderr
    assert done.returncode == 0, done.stderr
    assert events(tmp_path / "doings", "network") == []
