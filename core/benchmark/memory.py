"""Peak memory of a process of its own: `python -m core.benchmark.memory litert|keras NAME` loads one model, lets it
look at one image, and prints how much memory that took at most."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from core.errors import UserError
from core.settings import ARTIFACTS, ROOT

KINDS = ("litert", "keras")
TIMEOUT_S = 600


class ChildFailed(UserError):
    """A process that was to be measured ended with an error."""


def peak_bytes(folder: Path, name: str, kind: str = "litert") -> int:
    """The most memory that a fresh Python process holds which classifies one image with a model.

    Args:
        folder: of the artifacts.
        name: the model.
        kind: `litert`: as the dashboard does it, explaining graph and calibration; `keras`: with Keras' `predict`.

    Raises:
        ChildFailed: the process failed.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__, kind, name],
            cwd=ROOT,
            env={**os.environ, ARTIFACTS.variable: str(Path(folder).absolute()), "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ChildFailed(f"model {name}: expected its memory within {TIMEOUT_S} s, found none") from error
    peak = None if done.returncode else json.loads(done.stdout.splitlines()[-1])
    if peak is None:
        said = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise ChildFailed(f"model {name}: expected its memory to be measured, found: {said[0]}")
    return int(peak)


def peak_of(process: int | str = "self") -> int | None:
    """The largest resident size so far of a process, in bytes; None where it is gone or the system does not say.

    Linux counts it for each process since its own start. `ru_maxrss` would begin with the size of the parent.
    """
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        status = ""
    lines = (line.split() for line in status.splitlines() if line.startswith("VmHWM"))
    found = next((1024 * int(line[1]) for line in lines), None)
    return _by_resource() if found is None and process == "self" else found


def _by_resource() -> int | None:
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def main(kind: str, name: str) -> None:
    """What the measured process does."""
    import numpy as np

    from core.settings import INPUT_SIZE

    pixels = np.full((INPUT_SIZE, INPUT_SIZE, 3), (200, 160, 140), np.uint8)
    if kind == "litert":
        from core.serving.registry import Registry

        Registry.open().get(name).classify(pixels)
    else:
        from core.artifacts import load_manifest
        from core.networks.trained import load_trained

        load_trained(load_manifest(), name).predict(pixels[np.newaxis].astype(np.float32), verbose=0)
    print(json.dumps(peak_of()))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except UserError as error:
        sys.exit(str(error))
