"""`python -m core export`: a model with all that is needed to use it on a phone or in another program."""

from __future__ import annotations

import argparse
from pathlib import Path


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "export",
        help="write a model for a phone or another program: file, labels, preprocessing, examples, checksums",
        description="Writes a folder that needs nothing of this project: the LiteRT file, labels, the preprocessing in "
        "words and numbers, calibration, examples for Python, the web (JavaScript) and Android (Kotlin), checksums, "
        "the model card.",
    )
    parser.add_argument("--model", required=True, metavar="NAME", help="which model: python -m core models")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="a new or an empty folder")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the folder and say what lies in it."""
    from core.artifacts import load_manifest
    from core.export.folder import export

    for path in export(load_manifest(), options.model, options.output):
        print(f"{path.stat().st_size:>10,}  {path}")
    print(f"{options.model} is in {options.output}; begin with {options.output / 'README.md'}")
    return 0
