"""The tiny network, for tests in which a real one would only be slower."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    """`tiny_network`, `liven` and `images` of the module beside this file: tests are no package."""
    spec = importlib.util.spec_from_file_location("tiny_network", Path(__file__).with_name("tiny_network.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
