"""The tiny network of the networks' tests."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    """`tiny_network`, `liven`, `coarsen` and `images` of tests/networks/tiny_network.py: tests are no package."""
    spec = importlib.util.spec_from_file_location(
        "tiny_network", Path(__file__).parents[1] / "networks" / "tiny_network.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
