"""`python -m core data`: check, summarise or download HAM10000."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import UserError
from core.options import whole_number
from core.settings import data_dir

if TYPE_CHECKING:
    from core.data.check import Check
    from core.data.ham10000 import Dataset
    from core.data.summary import Summary

EPILOG = """exit status: 0 a usable dataset; 2 no dataset (it says what was expected, what is there and how to get it);
3 a dataset, but a damaged one"""


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add `data` and its own commands."""
    parser = subparsers.add_parser("data", help="check, summarise or download HAM10000")
    commands = parser.add_subparsers(
        dest="data_command", required=True, metavar="check|summary|leak|download"
    )
    check = _add(
        commands, "check", "say what a dataset's folder holds, and whether it is usable", check_command
    )
    check.add_argument(
        "--limit", type=whole_number(1), metavar="N", help="decode only N images, spread over the set"
    )
    check.add_argument(
        "--workers", type=whole_number(1), metavar="N", help="processes (default: one per core)"
    )
    check.add_argument(
        "--all", action="store_true", help="name every affected image, not only the first three"
    )
    summary = _add(
        commands, "summary", "count classes, sexes, ages, sites and confirmations", summary_command
    )
    summary.add_argument(
        "--json", type=Path, metavar="FILE", help="write the counts (no images, no ids) as JSON"
    )
    summary.add_argument(
        "--publish", action="store_true", help="store the counts among the artifacts, for the dataset page"
    )
    _add(commands, "leak", "say how many lesions lie on both sides of each split", leak_command)
    download = _add(commands, "download", "fetch HAM10000 from Harvard Dataverse (2.8 GB)", download_command)
    download.add_argument("--from", dest="server", metavar="URL", help="another Dataverse server")
    download.add_argument("--masks", action="store_true", help="fetch the lesion masks too")
    download.add_argument("--list", action="store_true", help="only list the files and their sizes")


def _add(commands: argparse._SubParsersAction, name: str, text: str, run: object) -> argparse.ArgumentParser:
    epilog = None if name == "download" else EPILOG  # which neither needs a dataset nor looks at one
    parser = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", epilog=epilog)
    parser.add_argument("folder", nargs="?", type=Path, help="the dataset (default: DERMDISTILL_DATA)")
    parser.set_defaults(run=run)
    return parser


def check_command(options: argparse.Namespace) -> int:
    """Decode everything and print what was found."""
    from core.data.check import check_dataset
    from core.data.findings import DamagedDatasetError
    from core.data.ham10000 import open_dataset

    dataset = open_dataset(options.folder, strict=False)
    _print_place(dataset)
    check = check_dataset(dataset, options.limit, options.workers)
    _print_check(check, options.all)
    if check.is_usable:
        print("\nThe dataset is usable.")
        return 0
    print("\nThe dataset is damaged and must not be used as it is.")
    return DamagedDatasetError.exit_status


def _print_place(dataset: Dataset) -> None:
    kind = "Synthetic lesions" if dataset.is_synthetic else "HAM10000"
    labels = "labels from folder names" if dataset.metadata is None else f"metadata {dataset.metadata}"
    print(f"{kind} in {dataset.root} ({dataset.layout}; {labels})", flush=True)


def _print_check(check: Check, all_items: bool) -> None:
    from core.lesions import LESIONS
    from core.text import table

    records = check.dataset.records
    several = int((records.groupby("lesion_id").size() > 1).sum())
    lesions = records["lesion_id"].nunique()
    print(f"{len(records):,} images of {lesions:,} lesions, {several:,} of them with several images")
    sizes = ", ".join(
        f"{count:,} of {width}x{height}" for (width, height), count in list(check.sizes.items())[:4]
    )
    more = f" and {len(check.sizes) - 4} more sizes" if len(check.sizes) > 4 else ""
    print(f"{check.decoded:,} images decoded: {sizes or 'none readable'}{more}\n")
    images = records["dx"].value_counts()
    by_class = records.groupby("dx")["lesion_id"].nunique()
    rows = [
        (
            lesion.code,
            lesion.name,
            int(images.get(lesion.code, 0)),
            f"{images.get(lesion.code, 0) / len(records):7.2%}",
            int(by_class.get(lesion.code, 0)),
        )
        for lesion in LESIONS
    ]
    print(table(("class", "diagnosis", "images", "share", "lesions"), rows))
    if check.findings:
        print()
    for finding in check.findings:
        print(f"{finding.severity}: {finding.sentence(len(finding.items) if all_items else 3)}")


def summary_command(options: argparse.Namespace) -> int:
    """Print the counts, and write them where asked."""
    from core.data.ham10000 import check_lesions, open_dataset
    from core.data.summary import summarise
    from core.files import check_json_target, write_json
    from core.settings import artifacts_dir

    dataset = open_dataset(options.folder)
    if options.json is not None:
        check_json_target(options.json, [dataset.root, artifacts_dir()])
    if options.publish:
        check_lesions(dataset)
    _print_place(dataset)
    summary = summarise(dataset.records, dataset.is_synthetic)
    _print_summary(summary)
    if options.json is not None:
        write_json(options.json, asdict(summary))
        print(f"\nCounts written to {options.json}")
    if options.publish:
        _publish(summary)
    return 0


def _publish(summary: Summary) -> None:
    from core.artifacts import store_json
    from core.data.summary import KEY

    if summary.synthetic:
        raise UserError(
            "--publish: expected HAM10000, found synthetic lesions; its counts would stand for them"
        )
    path = store_json(None, KEY, "dataset/summary.json", asdict(summary))
    print(f"\nCounts published as {path}")


def _print_summary(summary: Summary) -> None:
    from core.lesions import CODES
    from core.text import table

    print(f"{summary.images:,} images of {summary.lesions:,} lesions")
    rows = [
        ("images", summary.images, *(summary.images_by_class[code] for code in CODES)),
        ("lesions", summary.lesions, *(summary.lesions_by_class[code] for code in CODES)),
    ]
    print(table(("", "all", *CODES), rows))
    print("\nlesions by number of images")
    print(table(("images", "lesions"), [(int(n), count) for n, count in summary.lesions_by_images.items()]))
    groups = {
        "sex": summary.sex,
        "age": summary.age,
        "site": summary.localization,
        "confirmed by": summary.dx_type,
    } | {f"split {name}": counts for name, counts in summary.parts.items()}
    for name, counts in groups.items():
        print()
        rows = [(value, sum(by.values()), *(by[code] for code in CODES)) for value, by in counts.items()]
        print(table((name, "images", *CODES), rows))


def leak_command(options: argparse.Namespace) -> int:
    """Print how many lesions cross each split."""
    from core.data.ham10000 import check_lesions, open_dataset
    from core.data.splits import SPLITS
    from core.data.summary import find_leak

    dataset = open_dataset(options.folder)
    check_lesions(dataset)
    _print_place(dataset)
    lesions = dataset.records["lesion_id"].nunique()
    for split in SPLITS:
        leak = find_leak(dataset.records, split)
        print(
            f"\nsplit {split}: {leak.lesions:,} of {lesions:,} lesions cross it, with {leak.images:,} images"
        )
        for part, seen, images in (
            ("test", leak.test_images_seen, leak.test_images),
            ("validation", leak.validation_images_seen, leak.validation_images),
        ):
            print(
                f"  {seen:,} of {images:,} {part} images ({seen / max(images, 1):.1%}) show a lesion of train"
            )
    return 0


def _refuse_to_mix(folder: Path) -> None:
    """Keep a download out of a folder where a dataset lies already, unpacked or from elsewhere."""
    from core.data.findings import DatasetError
    from core.data.ham10000 import open_dataset

    try:
        dataset = open_dataset(folder, strict=False)
    except DatasetError:
        return
    raise UserError(
        f"expected a folder without a dataset, found one of {len(dataset):,} images in {dataset.root} "
        f"({dataset.layout}); name another folder, or check this one with: python -m core data check {folder}"
    )


def download_command(options: argparse.Namespace) -> int:
    """Fetch what is not there yet."""
    from core.data.download import SERVER, TERMS, check_address, download, list_files
    from core.text import table

    folder = (options.folder or data_dir()).expanduser()
    server = options.server or SERVER
    check_address(server)
    # A server that does not answer is asked again for a minute: people must see what they wait for.
    print(f"Asking {server} what there is ...", file=sys.stderr, flush=True)
    files = list_files(server, masks=options.masks)
    print(TERMS)
    print(table(("file", "bytes"), [(file.name, file.size or "unknown") for file in files]), flush=True)
    if options.list:
        return 0
    if not any((folder / file.name).exists() for file in files if file.name.lower().endswith(".zip")):
        _refuse_to_mix(folder)
    download(folder, files, say=lambda text: print(text, flush=True))
    print(f"\nHAM10000 lies in {folder}; it is read from the zips as it is.")
    print(f"Check it with: python -m core data check {folder}")
    if folder.resolve() != data_dir().resolve():
        print(f"Make it the default with: export DERMDISTILL_DATA={folder.resolve()}")
    return 0
