"""What the server itself lets through: other sites' pages, other names, damaged messages, traces of its inside."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest
import requests
from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect


def knock(url: str, **options: object) -> bool:
    """Whether a WebSocket of this kind is let in."""
    try:
        with connect(url.replace("http", "ws", 1) + "/_stcore/stream", proxy=None, **options) as channel:
            channel.ping().wait(20)
            return True
    except (InvalidStatus, ConnectionClosed):
        return False


def test_a_page_of_another_site_cannot_talk_to_it(dashboard) -> None:
    assert knock(dashboard.url, origin=dashboard.url)
    for origin in ("https://evil.example", "http://localhost.evil.example", "null", "file://"):
        assert not knock(dashboard.url, origin=origin), origin


def handshake(port: int, *headers: str) -> int:
    """The status that a WebSocket's first request gets with exactly these headers; clients send a Host of their own."""
    request = (
        "GET /_stcore/stream HTTP/1.1", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==", *headers,
    )  # fmt: skip
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.sendall(("\r\n".join(request) + "\r\n\r\n").encode())
        return int(connection.recv(100).split()[1])


def test_another_name_for_this_machine_is_refused(dashboard) -> None:
    """DNS rebinding: a name of somebody else's that leads here, whose page is of the same origin then."""
    port = int(dashboard.url.rpartition(":")[2])
    for host in (f"localhost:{port}", f"127.0.0.1:{port}"):
        assert handshake(port, f"Host: {host}", f"Origin: http://{host}") == 101
    for host in ("evil.example", f"evil.example:{port}", f"localhost.evil.example:{port}", ""):
        assert handshake(port, f"Host: {host}") == 403, host
        assert handshake(port, f"Host: {host}", f"Origin: http://{host}") == 403, host


@pytest.mark.parametrize(
    "message", [b"\xff" * 50, b"", "text", b"\0" * 100_000], ids=["junk", "empty", "text", "zeros"]
)
def test_a_damaged_message_ends_that_visit_alone(dashboard, protocol, message) -> None:
    with protocol.Visitor(dashboard.url) as other:
        visitor = protocol.Visitor(dashboard.url)
        visitor.send(message)
        visitor.close()
        assert other.rerun().of("heading")


def test_a_giant_message_is_cut_off(dashboard, protocol) -> None:
    """State of widgets beyond all measure."""
    visitor = protocol.Visitor(dashboard.url)
    message = BackMsg()
    widget = message.rerun_script.widget_states.widgets.add()
    widget.id, widget.string_value = "text", "y" * 60_000_000
    visitor.send(message.SerializeToString())
    with pytest.raises(ConnectionClosed) as caught:
        visitor.wait()
    assert caught.value.rcvd.code == 1009, "too big"
    with protocol.Visitor(dashboard.url) as other:
        assert other.page.of("heading")


PATHS = (
    "/app/static/../../requirements.txt",
    "/media/../../../etc/passwd",
    "/component/x/../../app.py",
    "/..%2f..%2fetc/passwd",
    "/static/..%2f..%2f..%2fapp.py",
    "/media/0123456789abcdef.png",
    "/.streamlit/config.toml",
    "/artifacts/manifest.json",
)


@pytest.mark.parametrize("path", PATHS)
def test_no_file_of_the_machine_comes_out(dashboard, path: str) -> None:
    request = requests.Request("GET", dashboard.url).prepare()
    request.url = dashboard.url + path  # as it is: a client would tidy it up
    with requests.Session() as session:
        session.trust_env = False
        answer = session.send(request, timeout=60)
    text = answer.text
    assert not re.search(r"root:|streamlit==|st\.navigation|sha256|gatherUsageStats = ", text), (
        answer.status_code
    )
    assert not re.search(r"Traceback|site-packages", text)


def test_neither_cross_origin_reading_nor_guessing_of_types(dashboard) -> None:
    answer = requests.get(dashboard.url, headers={"Origin": "https://evil.example"}, timeout=60)
    assert answer.ok
    assert "access-control-allow-origin" not in answer.headers
    health = requests.get(
        f"{dashboard.url}/_stcore/health", headers={"Origin": "https://evil.example"}, timeout=60
    )
    assert health.headers.get("access-control-allow-origin") not in ("*", "https://evil.example")
    cookie = next(c for c in health.cookies if c.name == "_streamlit_xsrf")
    assert cookie.get_nonstandard_attr("SameSite", "").lower() in ("lax", "strict")


def test_nobody_from_another_machine(dashboard) -> None:
    """It listens on this machine's own address alone: by every other one of its addresses it is not there."""
    port = int(dashboard.url.rpartition(":")[2])
    addresses = set()
    lines = [
        line for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()[1:]
    ]
    for line in lines:
        local, state = line.split()[1], line.split()[3]
        address, hexport = local.split(":")
        if state == "0A" and int(hexport, 16) == port:
            addresses.add(address)
    assert addresses
    assert addresses <= {"0100007F", "00000000000000000000000001000000"}
