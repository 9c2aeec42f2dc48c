"""Signing in through Streamlit's own OpenID Connect, end to end: a real server, a real browser, a local provider."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

provider_module = pytest.importorskip("oidc_provider_mock", reason="needs oidc-provider-mock")

SECRETS = """
[auth]
redirect_uri = "{url}/oauth2callback"
cookie_secret = "a secret of this test alone, 32 characters long"
client_id = "dermdistill"
client_secret = "told to the provider by the test"
server_metadata_url = "{provider}/.well-known/openid-configuration"
"""


@pytest.fixture
def provider():
    """The address of a provider that lets everybody in who gives a name."""
    with provider_module.run_server_in_thread() as server:
        yield f"http://localhost:{server.server_port}"


@pytest.mark.slow
def test_nobody_sees_a_page_without_signing_in(
    start_server: Callable, visit: Callable, provider: str, tmp_path: Path, free_port: int
) -> None:
    url = f"http://localhost:{free_port}"
    secrets = tmp_path / "secrets.toml"
    secrets.write_text(SECRETS.format(url=url, provider=provider))
    start_server({"secrets.files": str(secrets), "server.port": str(free_port)})

    page = visit(f"{url}/prediction")
    page.get_by_role("button", name="Sign in").wait_for()
    assert page.locator("[data-testid=stFileUploader]").count() == 0

    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(re.compile(re.escape(provider)))
    page.get_by_placeholder("sub").fill("reader")
    page.get_by_role("button", name="Authorize").click()
    page.wait_for_url(re.compile(re.escape(url)))
    page.get_by_text("Not a medical device").wait_for()
    page.get_by_role("heading", name="DermDistill").first.wait_for()

    other = visit(url)
    other.get_by_role("button", name="Sign in").wait_for()
