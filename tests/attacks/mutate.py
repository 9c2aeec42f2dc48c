"""Break each defence in turn, and see a test go red: `make mutate`, or `.venv/bin/python tests/attacks/mutate.py`.

Words after it choose mutants by their name (`mutate.py weights caches`). Nothing happens in the checkout: its files
are copied, each mutant is one change of text in the copy, taken back afterwards. First all the chosen tests must pass
on the copy as it is; then for each mutant its own test must fail, and pass must none. Exit status 0: all mutants were
caught; 1: one survived, or could not be tried.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 600
CAUGHT, SURVIVED, BROKEN = "caught", "SURVIVED", "COULD NOT BE TRIED"


@dataclass(frozen=True)
class Mutant:
    """A defence that is taken away.

    Attributes:
        defence: what it is.
        file: where, from the project's root; with a star, in one of these files.
        text: as it stands there, once.
        instead: what stands there then.
        test: beneath tests/, as pytest names it; it must go red.
    """

    defence: str
    file: str
    text: str
    instead: str
    test: str

    def place(self, folder: Path) -> Path | None:
        """The file of a project in `folder` that has the text, once; None where there is none or more."""
        files = [path for path in sorted(folder.glob(self.file)) if self.text in path.read_text("utf-8")]
        return files[0] if len(files) == 1 and files[0].read_text("utf-8").count(self.text) == 1 else None


MUTANTS = (
    Mutant(
        "uploads: the limit of bytes", "core/serving/intake/__init__.py",
        "    if len(data) > settings.MAX_UPLOAD_BYTES:", "    if False:",
        "serving/test_intake.py::test_the_limit_of_bytes",
    ),
    Mutant(
        "uploads: pixels are counted in the header", "core/serving/intake/refusal.py",
        "    if width * height > settings.MAX_PIXELS:", "    if False:",
        "serving/test_intake.py::test_limits_of_size",
    ),
    Mutant(
        "uploads: memory is counted before it is taken", "core/serving/intake/refusal.py",
        "    if amount > settings.MAX_DECODE_BYTES:", "    if False:",
        "serving/test_intake.py::test_memory_is_counted_before_it_is_taken",
    ),
    Mutant(
        "uploads: so many are decoded at a time", "core/serving/intake/__init__.py",
        "        with _DECODERS:", "        if True:",
        "serving/test_concurrency.py::test_however_many_upload_at_once_only_so_many_are_decoded_at_a_time",
    ),
    Mutant(
        "uploads: the decoder gets a reduced copy", "core/serving/intake/jpeg.py",
        "[header.scan : scans.first_end if single else scans.end]", "[header.scan :]",
        "serving/test_intake_attacks.py::test_hidden_texts_do_not_even_reach_the_decoder",
    ),
    Mutant(
        "uploads: nothing is filled in where a JPEG ends early", "core/serving/intake/jpeg.py",
        '_BEHIND_SCAN if single else b""', r'b"\xff\xd9" if single else b""',
        "serving/test_intake_whole.py::test_a_jpeg_cut_off_and_given_an_end_mark_is_incomplete",
    ),
    Mutant(
        "uploads: nothing is filled in where a PNG ends early", "core/serving/intake/png.py",
        "    if _ends_early(", "    if False and _ends_early(",
        "serving/test_intake_whole.py::test_a_png_has_all_of_its_bytes_or_is_incomplete",
    ),
    Mutant(
        "uploads: the scans of a JPEG in a TIFF are counted", "core/serving/intake/tiff.py",
        "        jpeg.check_passes(decoded, width * height, KIND)\n", "",
        "serving/test_intake_attacks.py::test_bombs_end_within_a_second_and_300_mb",
    ),
    Mutant(
        "uploads: names are cleaned", "core/serving/intake/upload.py",
        'unicodedata.category(c)[0] != "C"', "True",
        "serving/test_intake.py::test_names_are_safe_to_show",
    ),
    Mutant(
        "uploads: none is spooled to the disk", "pages/_memory.py",
        "    MultiPartParser.spool_max_size = MAX_UPLOAD_BYTES\n", "",
        "attacks/test_uploads.py::test_no_upload_touches_the_disk",
    ),
    Mutant(
        "uploads: forgotten when their visitor has left", "pages/_memory.py",
        "        loop.call_later(grace_seconds(), _forget, session_id, grace_seconds())",
        "        del loop",
        "attacks/test_visits.py::test_a_page_that_was_left_is_forgotten",
    ),
    Mutant(
        "uploads: forgotten when a visit that came back has left", "pages/_memory.py",
        "        asyncio.get_running_loop().call_later(look, _forget, session_id, away + look)\n", "",
        "attacks/test_visits.py::test_a_page_that_came_back_for_a_moment_is_forgotten_too",
    ),
    Mutant(
        "downloads: gone with the visit", "pages/_memory.py",
        "    _downloads.sweep()\n", "",
        "attacks/test_visits.py::test_what_was_downloaded_is_gone_with_the_visit",
    ),
    Mutant(
        "downloads: whole until they are fetched", "pages/_downloads.py",
        "    thread.start()\n    thread.join()\n", "",
        "attacks/test_visits.py::test_a_report_waits_for_its_visitor_while_others_click",
    ),
    Mutant(
        "memory: a server's heap stays small", "pages/_memory.py",
        "    keep_little()\n", "",
        "attacks/test_visits.py::test_photographs_that_come_and_go_leave_memory_as_it_was",
    ),
    Mutant(
        "caches: keyed by the bytes' hash", "pages/_*.py",
        "    return _read(sha256, name,", '    return _read("", name,',
        "attacks/test_caches.py::test_photographs_that_differ_in_one_pixel_share_no_answer",
    ),
    Mutant(
        "caches: what is uploaded is one visit's", "pages/_*.py",
        '@st.cache_data(scope="session", max_size=READINGS_BYTES, show_spinner=False)',
        '@st.cache_data(max_entries=9, show_spinner=False)',
        "attacks/test_caches.py::test_every_cache_of_uploads_is_of_one_visit_and_keyed_by_sha256",
    ),
    Mutant(
        "answers: NaN is never a class", "core/serving/classifier.py",
        "        if not np.isfinite(raw.logits).all():", "        if False:",
        "serving/test_classifier.py::test_one_bad_logit_is_an_error_and_never_a_class",
    ),
    Mutant(
        "answers: a map that is not finite shows nothing", "core/serving/classifier.py",
        "np.where(np.isfinite(raw.maps).all(axis=(1, 2), keepdims=True), raw.maps, np.float32(0))", "raw.maps",
        "serving/test_classifier.py::test_a_map_that_is_not_finite_is_zero_and_the_class_stays",
    ),
    Mutant(
        "answers: the gate", "core/serving/gate.py",
        "        if score <= 1:", "        if True:",
        "serving/test_gate.py::test_foreign_colours_are_refused_whatever_the_embedding",
    ),
    Mutant(
        "models: each is loaded once", "core/serving/registry.py",
        '        with self._lock_of(f"model {name}"):', "        if True:",
        "serving/test_concurrency.py::test_50_threads_on_first_use_load_each_model_once",
    ),
    Mutant(
        "artifacts: hashes are checked", "core/manifest.py",
        "        if digest != entry.sha256:", "        if False:",
        "test_artifacts.py::test_flipped_bit_is_refused_and_named",
    ),
    Mutant(
        "artifacts: another class order is refused", "core/manifest.py",
        '    check_class_order(_take(data, "classes", list, list(CODES)), name)\n', "",
        "serving/test_registry.py::test_entry_of_another_class_order_is_refused_alone",
    ),
    Mutant(
        "artifacts: written beside their place", "core/artifacts.py",
        "            stream.write(data)\n", "            stream.write(data)\n            path.write_bytes(data[:9])\n",
        "test_artifacts.py::test_full_disk_leaves_the_old_manifest",
    ),
    Mutant(
        "loading: no pickle in a weight file", "core/networks/weights.py",
        "np.load(path, allow_pickle=False)", "np.load(path, allow_pickle=True)",
        "networks/test_weights.py::test_a_pickle_is_not_opened",
    ),
    Mutant(
        "loading: initial weights by their ending", "core/networks/initial.py",
        "    if not path.name.endswith(ENDING):", "    if False:",
        "attacks/test_loading.py::test_by_its_name_no_other_reader_of_keras_gets_a_file",
    ),
    Mutant(
        "loading: no H5 file leads out of itself", "core/networks/initial.py",
        "    if found:", "    if False:",
        "attacks/test_loading.py::test_an_h5_file_that_leads_out_of_itself_is_no_initial_weights",
    ),
    Mutant(
        "dataset: one that moves is noticed", "core/data/watch.py",
        "return self.states != tuple(map(_state, self.places))", "return False",
        "pages/test_dataset_moves.py::test_moved_away_and_back_under_an_open_page",
    ),
    Mutant(
        "disk: no half of a file stays", "core/files.py",
        "        partial.unlink(missing_ok=True)\n", "",
        "attacks/test_disk.py::test_a_full_disk_leaves_the_old_file_whole_and_no_other",
    ),
    Mutant(
        "disk: room is taken before a memory map is written", "core/data/pixels.py",
        "        reserve(partial)\n", "",
        "attacks/test_disk.py::test_decoded_pixels_take_their_room_before_they_are_written",
    ),
    Mutant(
        "disk: what fails first is what is told", "core/serving/output.py",
        "        with suppress(OSError) if error else nullcontext():", "        if True:",
        "attacks/test_disk.py::test_a_table_that_finds_no_room_says_how_to_go_on",
    ),
    Mutant(
        "tables: no other file gives way to a resumed one", "core/serving/output.py",
        "    if ours.startswith(begins):", "    if torn:",
        "serving/test_output.py::test_resume_refuses_another_table",
    ),
    Mutant(
        "runs: a resumed one begins at its step", "core/training/checkpoint.py",
        '            Progress(**state["progress"]),', '            Progress(**state["progress"] | {"step": 0}),',
        "training/test_loop.py::test_killed_again_and_again_it_ends_as_if_it_had_not_been",
    ),
    Mutant(
        "CSV: formulas", "core/serving/tables.py",
        """        return f"'{value}\"""", "        return value",
        "serving/test_tables.py::test_formulas_get_an_apostrophe",
    ),
    Mutant(
        "CSV: a million rows", "core/evaluation/brought.py",
        "    if lines > 2 * len(reference) + 2:", "    if False:",
        "evaluation/test_brought.py::test_a_million_rows_are_refused_at_once",
    ),
    Mutant(
        "addresses: junk is shown without markup", "pages/_links.py",
        "    return escape(display_name(junk))", "    return junk",
        "attacks/test_addresses.py::test_what_is_no_choice_is_said",
    ),
    Mutant(
        "server: nobody but this machine", "pages/_door.py",
        '    if not _is_loopback(address or ""):', "    if False:",
        "pages/test_door.py::test_a_server_open_to_the_network_shows_nothing",
    ),
    Mutant(
        "server: forged requests", ".streamlit/config.toml",
        "enableXsrfProtection = true", "enableXsrfProtection = false",
        "test_architecture.py::test_the_server_says_no_by_default",
    ),
    Mutant(
        "server: pages of other sites", ".streamlit/config.toml",
        "enableCORS = true", "enableCORS = false",
        "attacks/test_server.py::test_a_page_of_another_site_cannot_talk_to_it",
    ),
    Mutant(
        "server: listens on this machine alone", ".streamlit/config.toml",
        'address = "localhost"', 'address = "0.0.0.0"',
        "attacks/test_server.py::test_nobody_from_another_machine",
    ),
    Mutant(
        "server: sign-in", "pages/_door.py",
        "    if st.user.is_logged_in:", "    if True:",
        "pages/test_door.py::test_with_sign_in_a_stranger_sees_only_the_door",
    ),
    Mutant(
        "server: other names for this machine", ".streamlit/config.toml",
        'allowedHosts = ["localhost", "127.0.0.1"]', "allowedHosts = []",
        "attacks/test_server.py::test_another_name_for_this_machine_is_refused",
    ),
)  # fmt: skip


def copy_tree(target: Path) -> None:
    """The checkout's files, also those that are not committed yet; nothing that git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)


def run_tests(folder: Path, tests: list[str]) -> tuple[int, str]:
    """pytest's exit status on some tests of the copy, and the last line that it printed."""
    command = [
        sys.executable,
        "-B",
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:warnings",
    ]
    hidden = {
        "DERMDISTILL_DATA",
        "DERMDISTILL_ARTIFACTS",
        "DERMDISTILL_CACHE",
        "DERMDISTILL_RUNS",
        "PYTHONPATH",
    }
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    try:
        done = subprocess.run(
            [*command, *(f"tests/{test}" for test in tests)],
            cwd=folder,
            env=environment | {"PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S * len(tests),
        )
    except subprocess.TimeoutExpired:
        return -1, "took too long"
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    return done.returncode, lines[-1] if lines else done.stderr.strip()[-200:]


def try_mutant(folder: Path, mutant: Mutant) -> tuple[str, str]:
    """What became of it, and pytest's last line."""
    path = mutant.place(folder)
    if path is None:
        return BROKEN, f"expected its text once in {mutant.file}, found none or more"
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole.replace(mutant.text, mutant.instead), encoding="utf-8")
    try:
        status, said = run_tests(folder, [mutant.test])
    finally:
        path.write_text(whole, encoding="utf-8")
    # 1: tests failed; others: none was found, or pytest itself did not get that far.
    return {0: SURVIVED, 1: CAUGHT if re.search(r"\bfailed\b", said) else BROKEN}.get(status, BROKEN), said


def main(words: list[str]) -> int:
    """Try the mutants whose defence has one of the words in it; all without words."""
    chosen = [m for m in MUTANTS if not words or any(word in m.defence for word in words)]
    if not chosen:
        print(f"expected words of one of the defences, found {' '.join(words)}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="mutants-") as place:
        folder = Path(place)
        copy_tree(folder)
        status, said = run_tests(folder, sorted({mutant.test for mutant in chosen}))
        print(f"without any mutant: {said}", flush=True)
        if status != 0 or "skipped" in said:
            print("error: expected all of these tests to pass and none to be skipped", file=sys.stderr)
            return 1
        missed = 0
        for mutant in chosen:
            start = time.monotonic()
            result, said = try_mutant(folder, mutant)
            missed += result != CAUGHT
            print(
                f"{result:<9} {time.monotonic() - start:4.0f} s  {mutant.defence:<52} {mutant.test}",
                flush=True,
            )
            if result != CAUGHT:
                print(f"          {said}", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} mutants were caught")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
