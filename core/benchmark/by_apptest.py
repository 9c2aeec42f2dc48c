"""A visit by Streamlit's AppTest, for machines without Playwright: the pages' own work, in a fresh process.

`python -m core.benchmark.by_apptest FILE...` runs the pages and prints what they took.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.benchmark.app import SIDE_BY_SIDE, AppTimes
from core.benchmark.process import watch
from core.errors import UserError
from core.settings import ROOT

HOW = "Streamlit's AppTest: no server, no browser, so more than this is what people wait"
_TIMEOUT_S = 120


def visit(uploads: Sequence[Path]) -> AppTimes:
    """Open the overview, upload pictures and choose views, in a process of its own.

    Raises:
        UserError: a page raises an exception.
    """
    done = watch(["-m", __name__, *map(str, uploads)])
    found = json.loads(done.output.splitlines()[-1])
    return AppTimes(**{k: tuple(v) if isinstance(v, list) else v for k, v in found.items()})


def main(uploads: Sequence[str]) -> dict[str, Any]:
    """The fields of `AppTimes`."""
    start = time.perf_counter()
    testing = importlib.import_module("streamlit.testing.v1")
    app = testing.AppTest.from_file(str(ROOT / "app.py"), default_timeout=_TIMEOUT_S)
    _seconds(app.run, app)
    cold = time.perf_counter() - start
    app.switch_page("pages/prediction.py")
    app.query_params[SIDE_BY_SIDE] = "true"
    app.run()
    first, *later = [_upload(app, Path(path)) for path in uploads]
    app.switch_page("pages/comparison.py").run()
    reruns = _choose_views(app)
    return {
        "cold_s": cold,
        "first_s": first,
        "next_s": later,
        "reruns_s": reruns,
        "tensorflow": "tensorflow" in sys.modules,
    }


def _choose_views(app: Any) -> list[float]:
    """Seconds of the reruns behind every choice of the comparison's views, twice; none where there is nothing to
    compare."""
    if not any(group.key == "view" for group in app.pills):
        return []
    names = app.pills(key="view").options
    return [
        _seconds(lambda name=name: app.pills(key="view").set_value(name).run(), app)
        for name in [*names[1:], names[0]] * 2
    ]


def _upload(app: Any, path: Path) -> float:
    app.file_uploader[0].set_value([(path.name, path.read_bytes(), "image/jpeg")])
    return _seconds(app.run, app)


def _seconds(run: Any, app: Any) -> float:
    start = time.perf_counter()
    run()
    if app.exception:
        raise UserError(f"expected a page, found: {app.exception[0].value}")
    return time.perf_counter() - start


if __name__ == "__main__":
    try:
        print(json.dumps(main(sys.argv[1:])))
    except UserError as error:
        sys.exit(str(error))
