"""A cold process that classifies one image is fast and small, and never loads tensorflow, keras or streamlit."""

import subprocess
import sys

import pytest

from core.serving.overlay import encode_png

COLD = """
import sys, time
start = time.perf_counter()
from pathlib import Path
from core.serving.answer import Diagnoser
from core.serving.registry import shared_registry
diagnoser = Diagnoser.open(shared_registry(), sys.argv[1])
answer = diagnoser.answer_file(Path(sys.argv[2]))
seconds = time.perf_counter() - start
assert answer.diagnosis is not None, answer.reason
heavy = {"tensorflow", "keras", "jax", "torch", "streamlit", "sklearn", "scipy", "pandas", "plotly", "matplotlib"}
# Not ru_maxrss: that begins with the size of the process that started this one.
kilobytes = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(seconds, time.process_time(), int(kilobytes) / 1024)
print(*sorted(heavy & {name.split(".")[0] for name in sys.modules}))
"""


@pytest.mark.parametrize("model", ["student", "ensemble"])
def test_first_image_from_a_cold_process(make_artifacts, images, tmp_path, model):
    make_artifacts("resnet50", "densenet169", "student", "ensemble")
    path = tmp_path / "image.png"
    path.write_bytes(encode_png(images[0]))
    done = subprocess.run(
        [sys.executable, "-c", COLD, model, str(path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures, loaded = done.stdout.splitlines()
    wall, processor, megabytes = map(float, figures.split())
    print(f"{model}: {wall:.2f} s, {processor:.2f} s of processor time, {megabytes:.0f} MiB")
    assert loaded == ""
    # The bar is 2 s on an idle machine; processor time does not count the waiting for a busy one.
    assert processor < 2.0
    assert megabytes < 350


@pytest.mark.parametrize(
    "module",
    [
        "core.artifacts",
        "core.commands.predict",
        "core.commands.models",
        "core.serving.batch",
        "core.serving.tables",
    ],
)
def test_importing_loads_nothing_heavy(module):
    heavy = ("tensorflow", "keras", "streamlit")
    check = f"import sys, {module}; sys.exit(any(m in sys.modules for m in {heavy!r}))"
    assert subprocess.run([sys.executable, "-c", check], timeout=120, check=False).returncode == 0
