"""The rules of the house: which way imports point, what pages load, what is in the repository and in the README."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest

from core import settings

ROOT = settings.ROOT
README = (ROOT / "README.md").read_text(encoding="utf-8")
SOURCES = [ROOT / "app.py", *sorted((ROOT / "pages").glob("*.py")), *sorted((ROOT / "core").rglob("*.py"))]

LIGHT = {
    "lesions",
    "settings",
    "errors",
    "memory",
    "numbers",
    "text",
    "reported",
    "files",
    "sweeping",
    "options",
}
"""What everybody may import."""

ALLOWED: dict[str, set[str]] = {
    "data": set(),
    "evaluation": {"data", "manifest", "artifacts"},
    "lab": {"data", "evaluation", "manifest", "artifacts"},
    "figures": {"data", "evaluation", "lab"},
    "serving": {"data", "evaluation", "figures", "manifest", "artifacts"},
    "export": {"data", "evaluation", "serving", "manifest", "artifacts"},
    "benchmark": {"data", "evaluation", "serving", "networks", "manifest", "artifacts"},
    "classroom": {"lab", "serving", "data", "evaluation", "manifest", "artifacts"},
    "networks": {"data", "manifest", "artifacts"},
    "training": {"networks", "data", "evaluation", "compression", "manifest", "artifacts"},
    "ablation": {"training", "networks", "lab", "data", "evaluation", "manifest", "artifacts"},
    "compression": {"networks", "data", "evaluation", "manifest", "artifacts", "training", "benchmark"},
    "manifest": set(),
    "artifacts": {"manifest"},
    **{name: set() for name in LIGHT},
}
"""Part of `core` -> the parts that it may import besides itself and `LIGHT`. Commands stand above all of them."""

HEAVY = ("tensorflow", "keras", "jax", "torch", "tf_keras_vis")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def imports(path: Path) -> tuple[tuple[str, bool], ...]:
    """(module, whether at import time) of every import in a file; `from a import b` counts as a.b."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for node in ast.walk(function)
    }
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    found = []
    for node in ast.walk(tree):
        at_start = id(node) not in inside | typing_only
        if isinstance(node, ast.Import):
            found += [(alias.name, at_start) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)}: expected absolute imports, found a relative one"
            found += [(f"{node.module}.{alias.name}", at_start) for alias in node.names]
    return tuple(found)


def part(path: Path) -> str:
    """`core/data/pixels.py` -> data, `core/lesions.py` -> lesions."""
    return path.relative_to(ROOT / "core").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", [p for p in SOURCES if "core" in p.parts], ids=name)
def test_core_never_imports_streamlit_or_pages(path: Path) -> None:
    tops = {module.split(".")[0] for module, _ in imports(path)}
    assert not tops & {"streamlit", "pages", "app"}


@pytest.mark.parametrize("path", [p for p in SOURCES if "core" in p.parts], ids=name)
def test_arrows_point_down(path: Path) -> None:
    own = part(path)
    if own in ("commands", "__main__", "__init__"):
        return
    assert own in ALLOWED, f"core/{own} is new: say in ALLOWED what it may import"
    targets = {module.split(".")[1] for module, _ in imports(path) if module.startswith("core.")}
    assert targets - {own} <= ALLOWED[own] | LIGHT


def test_the_allowed_arrows_have_no_cycle_through_pages_side_and_training_side() -> None:
    """Nothing that pages use may lead to training, compression or networks."""
    reached, waiting = set(), ["serving", "figures", "evaluation", "lab", "classroom", "data"]
    while waiting:
        one = waiting.pop()
        if one not in reached:
            reached.add(one)
            waiting += ALLOWED[one]
    assert not reached & {"training", "compression", "networks", "ablation"}


LOAD = """
import sys
import importlib
for module in {modules!r}:
    importlib.import_module(module)
print(",".join(sorted(m for m in {heavy!r} if m in sys.modules)))
"""


def started_by(pages: Iterable[Path]) -> list[str]:
    """The modules of `core` and `pages` that these pages import at their start."""
    found = {module for path in pages for module, at_start in imports(path) if at_start}
    ours = {m for m in found if m.startswith(("core.", "pages."))}
    return sorted(m if is_module(m) else m.rpartition(".")[0] for m in ours)


def is_module(dotted: str) -> bool:
    """Whether this is a file, and not something in it."""
    return ROOT.joinpath(*dotted.split(".")).with_suffix(".py").is_file()


def test_nothing_that_a_page_imports_at_its_start_imports_tensorflow() -> None:
    modules = started_by(path for path in SOURCES if "pages" in path.parts)
    assert "core.serving.panel" in modules, "the test no longer sees what pages import"
    code = LOAD.format(modules=modules, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_overview_starts_without_what_opens_tables_images_and_models() -> None:
    """It is the first page of a cold server: what the browser can draw at once must not wait for these."""
    later = ("pandas", "pyarrow", "cv2", "ai_edge_litert", "sklearn", "scipy")
    modules = started_by([ROOT / "app.py", ROOT / "pages" / "overview.py"])
    code = LOAD.format(modules=modules, heavy=later)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    "path",
    [
        p
        for p in SOURCES
        if "core" in p.parts and part(p) in ("serving", "figures", "evaluation", "benchmark")
    ],
    ids=name,
)
def test_heavy_libraries_wait_inside_functions(path: Path) -> None:
    heavy = {module for module, at_start in imports(path) if at_start and module.split(".")[0] in HEAVY}
    assert not heavy


def test_the_command_line_s_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, core.__main__ as m; m.build_parser(); "
        f"print([x for x in {(*HEAVY, 'pandas', 'cv2', 'sklearn')!r} if x in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("setting", settings.SETTINGS, ids=lambda setting: setting.variable)
def test_every_setting_is_documented(setting: settings.Setting) -> None:
    row = f"| `{setting.variable}` | `{setting.default}` | {setting.help} |"
    assert row in README


def test_every_variable_in_the_code_is_a_setting() -> None:
    """No environment variable is read past `core/settings.py`."""
    known = {setting.variable for setting in settings.SETTINGS}
    used = {
        v for path in SOURCES for v in re.findall(r"DERMDISTILL_[A-Z_]+", path.read_text(encoding="utf-8"))
    }
    assert used <= known


def test_every_command_in_the_readme_exists() -> None:
    from core.__main__ import build_parser

    commands = set(re.findall(r"python -m core ([a-z]+)", README))
    assert {"predict", "train", "distill", "evaluate", "models"} <= commands
    choices = build_parser()._subparsers._group_actions[0].choices
    assert commands <= set(choices)


def test_the_readme_s_plain_commands_are_those_of_make() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make ([a-z]+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def tracked() -> list[str]:
    """The files in git's index."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return [path for path in listed.stdout.decode().split("\0") if path]


def test_no_image_or_metadata_of_ham10000_is_in_the_repository() -> None:
    wrong = [p for p in tracked() if re.search(r"ISIC_\d{7}|HAM10000_(metadata|images)", Path(p).name)]
    assert wrong == []
    pictures = [p for p in tracked() if Path(p).suffix.lower() in (".jpg", ".jpeg", ".zip")]
    assert [p for p in pictures if not p.startswith("tests/")] == []


def test_no_pickle_is_in_the_repository_or_loaded() -> None:
    """Neither files that run code when they are opened, nor code that would open them."""
    endings = (".pkl", ".pickle", ".joblib", ".keras", ".h5", ".pt", ".pth", ".ipynb")
    assert [p for p in tracked() if p.endswith(endings)] == []
    loading = re.compile(
        r"\b(c|un)?pickle\.|\bdill\b|\bshelve\b|\bjoblib\.load|allow_pickle=(?!False)|\bload_model\(|\bmarshal\."
        r"|read_pickle|\bmodel_from_|unsafe_deserialization|safe_mode|yaml\.(unsafe_|full_)?load|torch\.load"
    )
    assert [name(path) for path in SOURCES if loading.search(path.read_text(encoding="utf-8"))] == []


def test_every_library_that_is_imported_is_pinned_at_the_installed_version() -> None:
    pins = dict(
        re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    )
    owners = packages_distributions()
    missing = {}
    for path in SOURCES:
        for module, _ in imports(path):
            top = module.split(".")[0]
            if top in sys.stdlib_module_names or top in ("core", "pages"):
                continue
            names = {one.lower().replace("_", "-") for one in owners.get(top, [top])}
            if not names & set(pins):
                missing[top] = name(path)
    assert missing == {}
    assert {pin: version(pin) for pin in pins} == pins


def test_the_server_says_no_by_default() -> None:
    config = tomllib.loads((ROOT / ".streamlit/config.toml").read_text(encoding="utf-8"))
    server = config["server"]
    assert server["address"] == "localhost"
    assert server["enableXsrfProtection"]
    assert server["enableCORS"]
    assert set(server["allowedHosts"]) <= {"localhost", "127.0.0.1"}
    assert server["maxUploadSize"] << 20 == settings.MAX_UPLOAD_BYTES
    assert config["browser"]["gatherUsageStats"] is False
    assert config["client"]["showErrorDetails"] == "none"


def test_the_licence_speaks_of_code_models_and_medicine() -> None:
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    for phrase in ("MIT License", "non-commercial", "CC BY-NC 4.0", "not a medical device"):
        assert phrase in licence
