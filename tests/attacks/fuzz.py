"""Intake under damaged files for minutes: `make fuzz`, or `python tests/attacks/fuzz.py SECONDS`; 600 by default.

Hypothesis draws changes to small sound files of every format; the outcome must be an array or a `Rejection`, within
two seconds. What fails is shrunk by Hypothesis and kept in `corpus/` as `failed-*`. With `--keep`, the smallest file
of every kind of outcome that has not been seen yet is kept there, too; `test_corpus.py` replays all of them.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import re
import sys
import time
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent / "serving")]

from test_intake_fuzz import check, corpus, with_checksums  # noqa: E402

from core.serving import intake  # noqa: E402
from core.serving.intake.refusal import Refused  # noqa: E402

CORPUS = HERE / "corpus"
ROUND = 300
"""Cases between two looks at the clock."""
LARGEST, TOTAL = 4096, 150_000
"""Bytes of a file, and of all files, that are kept."""
NUMBERS = (0, 1, 7, 8, 63, 64, 255, 256, 8192, 8193, 65_535, 65_536, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A sound file with one to six changes: bits, bytes, numbers, pieces left out, doubled or taken from another."""
    files = corpus()
    name = draw(st.sampled_from(sorted(files)))
    data = bytearray(files[name])
    for _ in range(draw(st.integers(1, 6))):
        end = draw(st.sampled_from((40, 400, len(data) or 1)))
        at = draw(st.integers(0, max(0, min(end, len(data)) - 1)))
        kind = draw(st.sampled_from(("bit", "byte", "number", "cut", "double", "graft", "end")))
        if kind == "bit" and data:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "byte":
            data[at : at + 1] = draw(st.binary(min_size=1, max_size=4))
        elif kind == "number":
            size, order = draw(st.sampled_from((1, 2, 4, 8))), draw(st.sampled_from(("little", "big")))
            value = draw(st.sampled_from(NUMBERS)) % 256**size
            data[at : at + size] = value.to_bytes(size, order)
        elif kind == "cut":
            del data[at : at + draw(st.integers(1, 200))]
        elif kind == "double":
            data[at:at] = data[at : at + draw(st.integers(1, 200))] * draw(st.integers(1, 3))
        elif kind == "graft":
            other = files[draw(st.sampled_from(sorted(files)))]
            begin = draw(st.integers(0, len(other) - 1))
            data[at : at + 64] = other[begin : begin + 64]
        else:
            del data[at:]
    whole = bytes(data)
    return with_checksums(whole) if whole.startswith(b"\x89PNG") and draw(st.booleans()) else whole


def outcome(data: bytes) -> str:
    """What becomes of a file, in a word that is the same for all files of its kind."""
    try:
        upload = intake._read(data, "fuzz")
    except Refused as refused:
        cause = type(refused.__cause__).__name__ if refused.__cause__ else ""
        return "-".join(
            filter(None, (refused.code, cause, re.sub(r"[^a-z]+", "", refused.reason.lower())[:40]))
        )
    return f"ok-{upload.format}-{len(upload.notes)}"


def keep(data: bytes, code: str, folder: Path = CORPUS) -> Path:
    """Write a file down under its outcome and its hash."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{code}-{hashlib.sha256(data).hexdigest()[:8]}.bin"
    path.write_bytes(data)
    return path


def fuzz(seconds: float, first_seed: int) -> tuple[int, dict[str, bytes]]:
    """Draw cases until the time is over; how many, and the smallest file of each outcome.

    Raises:
        AssertionError: or whatever else escaped, after its file was kept.
    """
    found: dict[str, bytes] = {}
    last, cases, begin = b"", 0, time.monotonic()

    @settings(max_examples=ROUND, deadline=None, database=None, phases=(Phase.generate, Phase.shrink),
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(damaged())
    def one_round(data: bytes) -> None:
        nonlocal last, cases
        last, cases = data, cases + 1
        check(data)
        kind = outcome(data)
        if len(data) < len(found.get(kind, data + b"x")):
            found[kind] = data

    number = first_seed
    while time.monotonic() - begin < seconds:
        try:
            seed(number)(one_round)()
        except BaseException:
            print(f"\nescaped: kept as {keep(last, 'failed')}", file=sys.stderr)
            raise
        number += 1
        took = time.monotonic() - begin
        print(f"\r{cases:,} cases, {len(found)} outcomes, {took:.0f} s", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return cases, found


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("seconds", type=float, nargs="?", default=600)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--keep", action="store_true", help="keep the smallest file of every new outcome")
    options = parser.parse_args()
    cases, found = fuzz(options.seconds, options.seed)
    kept = [path.read_bytes() for path in CORPUS.glob("*.bin")]
    known, total = {outcome(data) for data in kept}, sum(map(len, kept))
    for kind, data in sorted(found.items(), key=lambda item: len(item[1])):
        if options.keep and kind not in known and len(data) <= LARGEST and total + len(data) <= TOTAL:
            keep(data, kind.partition("-")[0])
            total += len(data)
    print(f"{cases:,} cases from seed {options.seed}, nothing escaped, {len(found)} kinds of outcome")
    return 0


if __name__ == "__main__":
    sys.exit(main())
