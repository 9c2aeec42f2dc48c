"""Fetching one file over HTTP: resumed where it broke off, retried with patience, never half a file as a whole."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UserError

if TYPE_CHECKING:
    import requests

CHUNK = 1 << 20
AGENT = "DermDistill (https://doi.org/10.7910/DVN/DBW86T)"
TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})
LONGEST_WAIT = 60.0


class DownloadError(UserError):
    """A file cannot be fetched, or is not what was announced."""

    exit_status = 1


class BrokenOffError(Exception):
    """An attempt ended early; another one may get further."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class Patience:
    """How long to go on trying.

    Attributes:
        attempts: how many in a row may bring nothing new.
        wait: seconds before the second one; doubled for each further one.
        timeout: seconds without a byte after which the connection counts as dead.
    """

    attempts: int = 6
    wait: float = 2.0
    timeout: float = 30.0


def part_of(target: Path) -> Path:
    """Where a file lies until it is whole."""
    return target.with_name(target.name + ".part")


def size_of(path: Path) -> int:
    """The length of a file in bytes, 0 where there is none."""
    return path.stat().st_size if path.is_file() else 0


def md5_of(path: Path) -> str:
    """The MD5 of a file: Dataverse publishes no other checksum of these files."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def get_json(url: str, patience: Patience) -> Any:
    """What a JSON interface answers.

    Raises:
        DownloadError: it cannot be reached, or answers something else.
    """
    import requests

    def attempt() -> Any:
        with _open(session, url, 0, patience) as response:
            _refuse_status(response, url)
            try:
                return response.json()
            except requests.exceptions.JSONDecodeError:
                text = " ".join(response.text.split())[:80]
                raise DownloadError(f"expected JSON from {url}, found {text!r}") from None
            except requests.RequestException as error:
                raise BrokenOffError(_reason(error)) from error

    with requests.Session() as session:
        return _persist(attempt, lambda: 0, url, patience)


def fetch(url: str, part: Path, size: int | None, patience: Patience, report: Callable[[int], None]) -> None:
    """Bring the file at `url` to `part`, going on from what `part` already holds.

    Args:
        url: where it is.
        part: the file to write; what it holds is kept when this fails, for the next time.
        size: the announced length in bytes, None when unknown.
        patience: when to give up.
        report: called with the length reached, whenever it changes.

    Raises:
        DownloadError: the server refuses, sends something else, or brings nothing new for too long.
    """
    import requests

    def attempt() -> None:
        if size is not None and size_of(part) > size:
            part.unlink()
        if size is None or size_of(part) < size or not part.exists():
            with _open(session, url, size_of(part), patience) as response:
                _receive(response, url, part, size, report)
        if size is not None and size_of(part) < size:
            raise BrokenOffError(f"the connection ended after {size_of(part):,} of {size:,} bytes")

    with requests.Session() as session:
        _persist(attempt, lambda: size_of(part), url, patience)


def _persist(attempt: Callable[[], Any], reached: Callable[[], int], url: str, patience: Patience) -> Any:
    """Call `attempt` until it comes through, or brings nothing new `patience.attempts` times in a row."""
    best, failures = reached(), 0
    while True:
        try:
            return attempt()
        except BrokenOffError as error:
            failures = failures + 1 if reached() <= best else 0
            best = max(best, reached())
            if failures >= patience.attempts:
                raise DownloadError(
                    f"expected an answer from {url}, found none in {failures} attempts ({error}); "
                    "start the command again to go on from here"
                ) from error
            wait = patience.wait * 2 ** max(failures - 1, 0) if error.wait is None else error.wait
            time.sleep(min(wait, LONGEST_WAIT))


def _open(session: requests.Session, url: str, offset: int, patience: Patience) -> requests.Response:
    import requests

    # Compressed on the way, a file would have another length than the announced one.
    headers = {"User-Agent": AGENT, "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    try:
        return session.get(url, headers=headers, stream=True, timeout=patience.timeout)
    except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema) as error:
        raise DownloadError(
            f"expected an address such as https://dataverse.harvard.edu, found {url}"
        ) from error
    except requests.RequestException as error:
        raise BrokenOffError(_reason(error)) from error


def _receive(
    response: requests.Response, url: str, part: Path, size: int | None, report: Callable[[int], None]
) -> None:
    """Write an answer's body behind what `part` holds, or from the start where the server ignored the range."""
    import urllib3

    offset = size_of(part)
    if response.status_code == 416:
        # The range begins at the end of the file or behind it. Without an announced length it is whole.
        if size is not None:
            part.unlink()
            raise BrokenOffError("the server has a shorter file than the part that is here", wait=0.0)
        return
    _refuse_status(response, url)
    is_rest = response.status_code == 206
    if is_rest and not response.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
        part.unlink()
        raise BrokenOffError("the server sent another range than the one asked for", wait=0.0)
    announced = response.headers.get("Content-Length", "")
    if not is_rest and size is not None and announced.isdigit() and int(announced) != size:
        raise DownloadError(
            f"expected {size:,} bytes from {url}, found an answer of {int(announced):,} bytes "
            f"({response.headers.get('Content-Type', 'of unknown type')}); a proxy or login page may be in between"
        )
    try:
        with part.open("ab" if is_rest else "wb") as file:
            # Not `iter_content`: it throws away what came of a chunk when the connection breaks within it.
            while chunk := response.raw.read1(CHUNK, decode_content=False):
                file.write(chunk)
                report(file.tell())
    except urllib3.exceptions.HTTPError as error:
        raise BrokenOffError(_reason(error)) from error
    except OSError as error:
        raise DownloadError(f"expected to write {part}, found: {error.strerror}") from error


def _refuse_status(response: requests.Response, url: str) -> None:
    status = response.status_code
    if status in (200, 206):
        return
    if status in TEMPORARY:
        after = response.headers.get("Retry-After", "")
        raise BrokenOffError(f"status {status}", float(after) if after.isdigit() else None)
    hint = {
        401: "it wants a login",
        403: "it refuses; a proxy, or terms to accept in a browser first",
        404: "it has no such file",
    }.get(status, response.reason)
    raise DownloadError(f"expected the file {url}, found status {status}: {hint}")


def _reason(error: Exception) -> str:
    """The innermost cause in a few words: requests wraps urllib3's errors, which wrap those of the socket."""
    while True:
        inner = getattr(error, "reason", None) or next(
            (a for a in error.args if isinstance(a, Exception)), None
        )
        if not isinstance(inner, Exception):
            return str(error).rsplit(": ", 1)[-1] or type(error).__name__
        error = inner
