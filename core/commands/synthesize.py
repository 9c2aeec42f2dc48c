"""`python -m core synthesize`: a folder of synthetic lesions with HAM10000's layout."""

from __future__ import annotations

import argparse
from pathlib import Path

from core.options import whole_number

DEFAULT_TOTAL = 700


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "synthesize",
        help="draw synthetic lesions into a folder that takes HAM10000's place",
        description="Draw synthetic dermatoscopic lesions of the seven classes: images, and a metadata file in "
        "HAM10000's schema. For trying the software and for the classroom without the dataset; they are drawings, "
        "not photographs. Begun again with the same options it goes on where it stopped.",
    )
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="a new or empty folder")
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument(
        "--total", type=whole_number(1), metavar="N", help=f"images altogether (default: {DEFAULT_TOTAL})"
    )
    amount.add_argument("--per-class", type=whole_number(1), metavar="N", help="images of every class")
    parser.add_argument(
        "--seed", type=int, default=0, help="other seeds, other lesions (default: %(default)s)"
    )
    parser.add_argument(
        "--mix",
        choices=("even", "ham10000"),
        help="shares of the classes in --total: even, or HAM10000's with two thirds nevi (default: even)",
    )
    parser.add_argument(
        "--size", type=_size, default=(600, 450), metavar="WxH", help="in pixels (default: 600x450)"
    )
    parser.add_argument(
        "--workers", type=whole_number(1), metavar="N", help="processes (default: one per core)"
    )
    parser.set_defaults(run=run)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"expected WIDTHxHEIGHT such as 600x450, found {text!r}")
    return int(width), int(height)


def run(options: argparse.Namespace) -> int:
    """Draw, write, and say where."""
    import os

    from tqdm import tqdm

    from core.data.synthetic import SYNTHETIC_NOTICE, make_dataset
    from core.errors import UserError
    from core.settings import DATA

    if options.mix and options.per_class:
        raise UserError(
            f"--mix: expected it with --total, whose shares it decides, found --mix {options.mix} --per-class "
            f"{options.per_class}"
        )
    total = options.total or (None if options.per_class else DEFAULT_TOTAL)
    print(SYNTHETIC_NOTICE)
    with tqdm(desc="drawing", unit=" images") as bar:

        def progress(done: int, of: int) -> None:
            bar.total = of
            bar.update(done - bar.n)

        folder = make_dataset(
            options.output,
            per_class=options.per_class,
            total=total,
            seed=options.seed,
            size=options.size,
            mix=options.mix or "even",
            workers=options.workers or os.cpu_count() or 1,
            progress=progress,
        )
        count = bar.n
    print(
        f"{count:,} synthetic images lie in {folder}. To use them: export {DATA.variable}={folder.resolve()}"
    )
    return 0
