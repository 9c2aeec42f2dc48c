"""The dashboard without a browser: a server of its own, and visitors who speak Streamlit's protocol with it.

A visitor is what an attacker is, too: it uploads past the page's file type filter, leaves in the middle, and sends
what no browser would. What it reads of a page is what the server sent for it, element by element.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import requests
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect

XSRF_COOKIE = "_streamlit_xsrf"
PATIENCE = 120.0
"""Seconds that an answer may take on a machine busy with other things."""


@dataclass(frozen=True)
class Answer:
    """What a page says, as text: two visitors with the same image and models read the same.

    Attributes:
        headings, texts, alerts: in the page's order.
        charts: the data of every figure, as JSON.
        images: addresses of pictures; they are made of the pictures' hash.
    """

    headings: tuple[str, ...]
    texts: tuple[str, ...]
    alerts: tuple[str, ...]
    charts: tuple[str, ...]
    images: tuple[str, ...]


@dataclass
class Page:
    """The elements that the server has sent for one run of a page, by their place."""

    elements: dict[tuple[int, ...], Element] = field(default_factory=dict)
    run: str = ""
    runs: dict[tuple[int, ...], str] = field(default_factory=dict)

    def take(self, message: ForwardMsg) -> None:
        """Apply one message."""
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self.run = message.metadata.run.script_run_id or message.hash or str(time.monotonic_ns())
        elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            place = tuple(message.metadata.delta_path)
            self.elements[place] = message.delta.new_element
            self.runs[place] = self.run
        elif kind == "script_finished":
            for place in [place for place, run in self.runs.items() if run != self.run]:
                del self.elements[place], self.runs[place]

    def of(self, kind: str) -> list[Any]:
        """The elements of a kind, from top to bottom."""
        ordered = sorted(self.elements.items())
        return [getattr(e, kind) for _, e in ordered if e.WhichOneof("type") == kind]

    def answer(self) -> Answer:
        """What it says, without what differs between two visits."""
        return Answer(
            tuple(x.body for x in self.of("heading")),
            tuple(x.body for x in self.of("text")),
            tuple(x.body for x in self.of("alert")),
            tuple(json.dumps(json.loads(x.spec)["data"], sort_keys=True) for x in self.of("plotly_chart")),
            tuple(image.url for x in self.of("imgs") for image in x.imgs),
        )

    def everything(self) -> str:
        """All that was sent, for finding what should not be there."""
        return "\n".join(str(element) for element in self.elements.values())


class Visitor:
    """One visit to the server at `url`; a context manager, whose end closes the tab."""

    def __init__(
        self, url: str, page: str = "", query: Mapping[str, Any] | None = None, *, run: bool = True
    ) -> None:
        """
        Args:
            url: of the server.
            page: its name in the address.
            query: parameters of the address.
            run: whether the page is run once when the visit begins as a context manager.
        """
        self.url = url
        self.http = requests.Session()
        self.http.trust_env = False
        # The server closes a connection that was idle, and one that is closing cannot be asked again.
        self.http.headers["Connection"] = "close"
        self.http.get(f"{url}/_stcore/health", timeout=PATIENCE)
        self.token = self.http.cookies.get(XSRF_COOKIE, "")
        self.page = Page()
        self.session_id = ""
        self._name, self._run = page, run
        self._query = urlencode(query or {}, doseq=True)
        self._stack = ExitStack()
        self._socket = self._connect()
        self._states: dict[str, Any] = {}
        self._uploader = self._file = ""

    def _connect(self) -> ClientConnection:
        address = self.url.replace("http", "ws", 1) + "/_stcore/stream"
        connection = connect(
            address,
            origin=self.url,
            subprotocols=["streamlit", self.token, *([self.session_id] if self.session_id else [])],
            additional_headers={"Cookie": f"{XSRF_COOKIE}={self.token}"},
            max_size=None,
            open_timeout=PATIENCE,
            proxy=None,
        )
        return self._stack.enter_context(connection)

    def reconnect(self) -> None:
        """Lose the connection and take the visit up again, as a browser does without having a page run."""
        self._stack.close()
        self._socket = self._connect()

    def __enter__(self) -> Visitor:
        if self._run:
            self.rerun()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the tab."""
        self._stack.close()
        self.http.close()

    def ask(self) -> None:
        """Have the page run, and do not wait for it."""
        message = BackMsg()
        message.rerun_script.query_string = self._query
        message.rerun_script.page_name = self._name
        for state in self._states.values():
            message.rerun_script.widget_states.widgets.append(state)
        self.send(message.SerializeToString())

    def send(self, data: bytes | str) -> None:
        """Any message at all."""
        self._socket.send(data)

    def messages(self) -> Iterator[ForwardMsg]:
        """What the server says, as it comes."""
        while True:
            message = ForwardMsg.FromString(self._socket.recv(timeout=PATIENCE))
            if message.WhichOneof("type") == "new_session":
                self.session_id = message.new_session.initialize.session_id
            self.page.take(message)
            yield message

    def wait(self) -> Page:
        """Until the page's run has ended well."""
        for message in self.messages():
            if message.WhichOneof("type") != "script_finished":
                continue
            if message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                return self.page
        raise AssertionError("unreachable")

    def rerun(self) -> Page:
        """Have the page run and wait for its end."""
        self.ask()
        return self.wait()

    def go(self, page: str, query: Mapping[str, Any] | None = None) -> Page:
        """Open another page, or the same at another address; its widgets begin anew."""
        self._name, self._query, self._states = page, urlencode(query or {}, doseq=True), {}
        self._uploader = self._file = ""
        return self.rerun()

    def put(self, name: str, data: bytes, **more: Any) -> tuple[requests.Response, str]:
        """Upload a file to the server, past any page; the response and the file's id."""
        request = BackMsg()
        request.file_urls_request.request_id = "1"
        request.file_urls_request.session_id = self.session_id
        request.file_urls_request.file_names.append(name)
        self.send(request.SerializeToString())
        for message in self.messages():
            if message.WhichOneof("type") == "file_urls_response":
                urls = message.file_urls_response.file_urls[0]
                headers = {"X-Xsrftoken": self.token} | more.pop("headers", {})
                response = self.http.put(
                    self.url + urls.upload_url,
                    files={"file": (name, data, "image/jpeg")},
                    headers=headers,
                    timeout=PATIENCE,
                    **more,
                )
                return response, urls.file_id
        raise AssertionError("unreachable")

    def remove(self, file_id: str) -> None:
        """What a browser does when a file is taken out."""
        self.http.delete(
            f"{self.url}/_stcore/upload_file/{self.session_id}/{file_id}",
            headers={"X-Xsrftoken": self.token},
            timeout=PATIENCE,
        )

    def choose(self, *files: tuple[str, str, int]) -> None:
        """Put (name, id, size) of uploaded files into the page's uploader; the next run reads them."""
        found = self.page.of("file_uploader")
        self._uploader = found[0].id if found else self._uploader
        state = BackMsg().rerun_script.widget_states.widgets.add()
        state.id = self._uploader
        for name, file_id, size in files:
            info = state.file_uploader_state_value.uploaded_file_info.add()
            info.name, info.file_id, info.size = name, file_id, size
        self._states["uploader"] = state

    def upload(self, name: str, data: bytes) -> Page:
        """What a person does: choose one file in place of the last one, and read the answer."""
        response, file_id = self.put(name, data)
        response.raise_for_status()
        self.choose((name, file_id, len(data)))
        page = self.rerun()
        if self._file:
            self.remove(self._file)
        self._file = file_id
        return page

    def download(self, button: Any) -> requests.Response:
        """What a person gets who presses a download button, also one whose file is made only then."""
        if button.url:
            return self.fetch(button.url)
        request = BackMsg()
        request.backend_operation_request.request_id = "2"
        request.backend_operation_request.session_id = self.session_id
        request.backend_operation_request.deferred_file.file_id = button.deferred_file_id
        self.send(request.SerializeToString())
        for message in self.messages():
            if message.WhichOneof("type") == "backend_operation_response":
                response = message.backend_operation_response
                assert response.deferred_file.url, response.error_msg
                return self.fetch(response.deferred_file.url)
        raise AssertionError("unreachable")

    def fetch(self, address: str) -> requests.Response:
        """What the server gives for an address on it."""
        return self.http.get(self.url + address, timeout=PATIENCE)


def held_uploads(url: str) -> int:
    """How many bytes of uploads the server holds, by its own account, which it remembers for five seconds: an answer
    that comes at once would be of the time before."""
    time.sleep(5.2)
    text = requests.get(f"{url}/_stcore/metrics", timeout=PATIENCE).text
    found = re.findall(r"cache_memory_bytes\{[^}]*UploadedFileManager[^}]*\} (\d+)", text)
    return sum(map(int, found))


def status_of(process: subprocess.Popen | int, key: str) -> int:
    """A figure of a process from Linux: `VmRSS`, `RssAnon` in kilobytes, `Threads`."""
    pid = process if isinstance(process, int) else process.pid
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    return int(re.search(rf"^{key}:\s+(\d+)", text, re.MULTILINE)[1])
