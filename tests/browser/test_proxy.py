"""Behind a reverse proxy with TLS, set up as the README says: nobody in without signing in, everything after it."""

from __future__ import annotations

import contextlib
import re
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.data.samples import synthetic_sample
from core.settings import ROOT
from tests.browser.steps import on_page, says, settled, upload

provider_module = pytest.importorskip("oidc_provider_mock", reason="needs oidc-provider-mock")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("nginx") and shutil.which("openssl")), reason="needs nginx and openssl"
    ),
]

NAME = "lesions.example.org"
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECRETS = re.search(r"```toml\n(.*?)```", README, re.DOTALL)[1]
LOCATION = re.search(r"```nginx\n(.*?)```", README, re.DOTALL)[1]
COMMAND = " ".join(re.search(r"`streamlit run app\.py (.*?)`", README, re.DOTALL)[1].split())
NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        server_name lesions.example.org;
        ssl_certificate {folder}/certificate.pem;
        ssl_certificate_key {folder}/key.pem;
{location}
    }}
}}
"""


class Proxy:
    """nginx with the README's `location`, and the dashboard behind it.

    Attributes:
        url: what a browser is given, by the README's name.
        inner: the dashboard's own port.
    """

    def __init__(self, folder: Path, inner: int) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url, self.inner = f"https://{NAME}:{self.port}", inner
        make = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -keyout key.pem -out certificate.pem"
        subprocess.run(
            [*shlex.split(make), "-subj", f"/CN={NAME}"], cwd=folder, check=True, capture_output=True
        )
        location = LOCATION.replace("127.0.0.1:8501", f"127.0.0.1:{inner}")
        assert location != LOCATION
        # The browser's name for the proxy has a port here, so what the README passes on as $host must keep it.
        location = location.replace("Host $host;", "Host $http_host;")
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=self.port, location=location))
        self._process = subprocess.Popen(
            ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
        )
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.1)
        raise RuntimeError((folder / "error.log").read_text())

    def options(self) -> dict[str, str]:
        """The README's options for the dashboard, with this proxy's port."""
        words = COMMAND.replace(" 443", f" {self.port}").split()
        found = {key.removeprefix("--"): value for key, value in zip(words[::2], words[1::2], strict=True)}
        return found | {"server.port": str(self.inner)}

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(10)


@pytest.fixture
def proxy(tmp_path: Path, free_port: int) -> Iterator[Proxy]:
    (tmp_path / "nginx").mkdir()
    running = Proxy(tmp_path / "nginx", free_port)
    yield running
    running.stop()


@pytest.fixture
def open_by_name(browser: object) -> Iterator[Callable]:
    """A function that opens an address under the README's name, which leads to this machine."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    named = browser.browser_type.launch(
        executable_path=path, args=["--no-sandbox", f"--host-resolver-rules=MAP {NAME} 127.0.0.1"]
    )

    def visit(url: str):
        page = named.new_context(ignore_https_errors=True).new_page()
        page.set_default_timeout(60_000)
        return page, page.goto(url)

    yield visit
    named.close()


def test_without_sign_in_the_proxy_shows_nothing(
    proxy: Proxy, start_server: Callable, open_by_name: Callable
) -> None:
    start_server(proxy.options())
    page, _ = open_by_name(f"{proxy.url}/prediction")
    page.get_by_text("the request came through a proxy").wait_for()
    assert page.get_by_test_id("stFileUploader").count() == 0


def test_signed_in_a_lesion_is_uploaded_and_read_through_the_proxy(
    proxy: Proxy, start_server: Callable, open_by_name: Callable, tmp_path: Path
) -> None:
    with provider_module.run_server_in_thread() as server:
        provider = f"http://localhost:{server.server_port}"
        secrets = SECRETS.replace(f"https://{NAME}/", f"{proxy.url}/")
        secrets = secrets.replace("https://id.example.org", provider)
        (tmp_path / "secrets.toml").write_text(secrets)
        start_server(proxy.options() | {"secrets.files": str(tmp_path / "secrets.toml")})

        page, answer = open_by_name(f"{proxy.url}/prediction")
        headers = answer.headers
        assert headers["strict-transport-security"].startswith("max-age=")
        assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
        assert headers["content-security-policy"] == "frame-ancestors 'none'"

        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(re.compile(re.escape(provider)))
        page.get_by_placeholder("sub").fill("reader")
        page.get_by_role("button", name="Authorize").click()
        page.wait_for_url(re.compile(re.escape(proxy.url)))
        page.goto(f"{proxy.url}/prediction")
        on_page(page, "Prediction")
        sample = synthetic_sample("mel", 1)
        upload(page, "own.jpg", sample.data, "image/jpeg")
        says(page, re.compile("^(Most likely|Uncertain; leading): |^Not judged"))
        says(page, "own.jpg")
        settled(page)
        written = [path for path in (tmp_path / "nginx").rglob("*") if path.is_file()]
        assert {path.name for path in written} == {
            "nginx.conf", "nginx.pid", "error.log", "key.pem", "certificate.pem",
        }, "an upload on the proxy's disk"  # fmt: skip
