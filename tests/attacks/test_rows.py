"""Every attack that this project withstands, and the tests that would go red without its defence."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

ROWS: dict[str, tuple[str, ...]] = {
    "empty, 1-byte, truncated, bit-flipped files; corrupt pictures that packages ship": (
        "serving/test_intake.py::test_hardly_any_bytes",
        "serving/test_intake_fuzz.py::test_truncated_files_are_refused",
        "serving/test_intake_whole.py::test_a_jpeg_cut_off_and_given_an_end_mark_is_incomplete",
        "serving/test_intake_whole.py::test_a_png_has_all_of_its_bytes_or_is_incomplete",
        "serving/test_intake_fuzz.py::test_flipped_bits",
        "serving/test_intake_fuzz.py::test_pictures_that_packages_ship",
        "pages/test_prediction.py::test_what_is_no_image_gets_a_sentence_and_the_next_upload_works",
        "attacks/test_uploads.py::test_the_next_upload_works",
        "attacks/test_corpus.py::test_kept_files_become_what_they_became",
    ),
    "60,000 x 60,000 declared; zTXt bomb; 10,000 frames": (
        "serving/test_intake_attacks.py::test_bombs_end_within_a_second_and_300_mb",
        "serving/test_intake.py::test_limits_hold_for_every_format",
        "serving/test_intake.py::test_memory_is_counted_before_it_is_taken",
        "serving/test_concurrency.py::test_however_many_upload_at_once_only_so_many_are_decoded_at_a_time",
        "attacks/test_uploads.py::test_a_header_alone_is_refused_at_once_by_the_server",
    ),
    "TIFF, EPS, SVG, HTML, ZIP renamed .jpg; polyglots": (
        "serving/test_intake_attacks.py::test_other_kinds_have_their_own_reasons",
        "serving/test_intake_attacks.py::test_of_a_polyglot_only_the_pixels_go_on",
        "serving/test_intake_fuzz.py::test_names_and_endings_change_nothing",
        "attacks/test_uploads.py::test_content_decides_whatever_the_ending",
    ),
    "direct upload past the page's filter; over the limit; 200 MB": (
        "attacks/test_uploads.py::test_past_the_page_s_file_type_filter",
        "attacks/test_uploads.py::test_over_the_limit_and_200_mb_are_refused_and_the_server_lives",
        "attacks/test_uploads.py::test_without_the_token_or_for_somebody_else_s_visit_nothing_is_taken",
        "serving/test_intake.py::test_the_limit_of_bytes",
    ),
    "file names with markup, paths, 500 characters, control characters": (
        "serving/test_intake.py::test_names_are_safe_to_show",
        "serving/test_intake.py::test_long_names_keep_both_ends",
        "pages/test_prediction.py::test_names_are_shortened_and_never_markup",
        "attacks/test_uploads.py::test_a_name_is_shown_shortened_as_text_and_nowhere_else",
        "attacks/test_uploads.py::test_the_name_of_a_file_is_in_no_log_and_no_address",
    ),
    "EXIF with GPS and names, malformed, orientations 1 to 8; DICOM with a patient's name": (
        "serving/test_intake_attacks.py::test_hidden_texts_do_not_come_out",
        "serving/test_intake_attacks.py::test_hidden_texts_do_not_even_reach_the_decoder",
        "serving/test_intake.py::test_all_orientations_give_the_upright_pixels",
        "serving/test_intake.py::test_malformed_exif_leaves_the_picture_as_stored",
        "serving/test_intake_dicom.py::test_nothing_of_the_patient_comes_out",
        "serving/test_report.py::test_pictures_carry_no_metadata",
        "pages/test_prediction.py::test_nothing_of_an_upload_is_written_to_disk",
        "attacks/test_uploads.py::test_of_a_patient_nothing_is_in_pages_pictures_reports_and_logs",
        "attacks/test_uploads.py::test_no_upload_touches_the_disk",
    ),
    "two photographs that differ in one pixel": (
        "attacks/test_caches.py::test_photographs_that_differ_in_one_pixel_share_no_answer",
        "attacks/test_caches.py::test_every_cache_of_uploads_is_of_one_visit_and_keyed_by_sha256",
        "serving/test_intake.py::test_one_pixel_makes_another_upload",
    ),
    "black, white, noise, cat, X-ray": (
        "serving/test_gate.py::test_shipped_gate_refuses_what_it_must",
        "serving/test_gate.py::test_shipped_gate_refuses_photographs",
        "pages/test_prediction.py::test_what_the_gate_refuses_gets_a_reason_and_no_class",
    ),
    "map all zero, NaN or infinity in logits": (
        "serving/test_classifier.py::test_one_bad_logit_is_an_error_and_never_a_class",
        "serving/test_classifier.py::test_a_map_that_is_not_finite_is_zero_and_the_class_stays",
        "pages/test_prediction.py::test_a_map_without_anything_is_a_note",
        "pages/test_prediction.py::test_no_answer_at_all_is_an_error_and_never_a_class",
    ),
    "artifacts with a flipped bit, missing, of another class order or version; damaged manifest": (
        "serving/test_registry.py::test_damaged_file_refuses_its_model_alone",
        "serving/test_registry.py::test_entry_of_another_class_order_is_refused_alone",
        "serving/test_registry.py::test_folder_without_a_usable_manifest",
        "test_artifacts.py::test_flipped_bit_is_refused_and_named",
        "test_artifacts.py::test_damaged_manifest_is_named_and_left_alone",
        "serving/test_gate.py::test_a_gate_with_a_flipped_bit_is_refused_and_named_and_the_model_works",
    ),
    ".keras with a Lambda, H5 with external links, pickles": (
        "attacks/test_loading.py::test_an_h5_file_that_leads_out_of_itself_is_no_initial_weights",
        "attacks/test_loading.py::test_by_its_name_no_other_reader_of_keras_gets_a_file",
        "attacks/test_loading.py::test_what_runs_code_is_no_initial_weights",
        "attacks/test_loading.py::test_what_runs_code_is_no_model",
        "attacks/test_loading.py::test_what_runs_code_is_no_other_artifact",
        "attacks/test_loading.py::test_what_runs_code_is_no_run",
        "attacks/test_loading.py::test_what_runs_code_is_no_upload",
        "test_architecture.py::test_no_pickle_is_in_the_repository_or_loaded",
        "networks/test_weights.py::test_a_pickle_is_not_opened",
        "networks/test_weights.py::test_something_else_is_refused",
        "serving/test_gate.py::test_damaged_bytes_and_pickles_are_refused",
    ),
    "20 visits at once, each with its own images and models": (
        "serving/test_concurrency.py::test_20_threads_3_models_25_images_are_bit_equal_to_serial",
        "attacks/soak.py::test_20_visits_at_once_for_minutes_each_get_their_own_answers",
    ),
    "50 visits opening at once on a cold server": (
        "serving/test_concurrency.py::test_50_threads_on_first_use_load_each_model_once",
        "attacks/soak.py::test_50_visits_at_once_of_a_cold_server_load_each_model_once",
    ),
    "1,000 predictions with maps; 200 visits that come and go": (
        "serving/test_concurrency.py::test_2000_predictions_with_maps_keep_memory_flat",
        "serving/test_heap.py::test_a_server_keeps_little_of_what_its_threads_freed",
        "serving/test_heap.py::test_what_was_freed_between_things_that_stay_goes_back",
        "attacks/test_visits.py::test_photographs_that_come_and_go_leave_memory_as_it_was",
        "attacks/soak.py::test_1000_predictions_with_maps_return_memory",
        "attacks/soak.py::test_200_visits_that_come_and_go_leave_memory_as_it_was",
    ),
    "a tab closed in the middle, rapid clicking, a page left alone": (
        "attacks/test_visits.py::test_tabs_closed_in_the_middle_leave_nothing_behind",
        "attacks/test_visits.py::test_rapid_clicking_ends_in_the_last_choice",
        "attacks/test_visits.py::test_a_page_that_was_left_is_forgotten",
        "attacks/test_visits.py::test_a_page_that_came_back_for_a_moment_is_forgotten_too",
        "attacks/test_visits.py::test_a_page_that_stays_open_keeps_its_upload",
    ),
    "dataset missing, moved, partly deleted, read-only; disk full": (
        "commands/test_data.py::test_check_of_a_damaged_dataset",
        "data/test_watch.py::test_what_happens_to_a_dataset_is_noticed",
        "data/test_watch.py::test_one_that_comes_is_noticed_wherever_it_lands",
        "pages/test_dataset_moves.py::test_moved_away_and_back_under_an_open_page",
        "pages/test_dataset_moves.py::test_partly_deleted_under_an_open_page",
        "pages/test_dataset_moves.py::test_a_folder_of_images_deleted_under_an_open_image",
        "pages/test_dataset_moves.py::test_moved_away_under_a_test_image_that_is_open",
        "pages/test_dataset_moves.py::test_similar_lesions_get_their_pictures_as_soon_as_they_are_there",
        "pages/test_dataset_page.py::test_every_section_opens_whatever_is_missing",
        "pages/test_dataset_page.py::test_a_picture_that_cannot_be_read_is_a_sentence_among_the_others",
        "attacks/test_disk.py::test_pages_show_a_read_only_dataset_and_leave_it_alone",
        "attacks/test_disk.py::test_commands_read_a_read_only_dataset_and_leave_it_alone",
        "attacks/test_disk.py::test_a_full_disk_leaves_the_old_file_whole_and_no_other",
        "attacks/test_disk.py::test_a_command_says_so_in_a_line_and_the_artifacts_stay",
        "attacks/test_disk.py::test_decoded_pixels_take_their_room_before_they_are_written",
        "test_files.py::test_whatever_fails_the_old_file_stays_and_nothing_else",
        "test_artifacts.py::test_full_disk_leaves_the_old_manifest",
        "attacks/test_disk.py::test_a_table_that_finds_no_room_says_how_to_go_on",
        "serving/test_predict.py::test_full_disk_keeps_the_rows_so_far",
        "networks/test_weights.py::test_killed_while_writing_the_old_file_stays",
    ),
    "a training or ablation run killed at any moment": (
        "training/test_loop.py::test_killed_again_and_again_it_ends_as_if_it_had_not_been",
        "training/test_loop.py::test_sigkill_in_the_middle_of_an_epoch",
        "training/test_checkpoint.py::test_killed_while_writing_the_last_checkpoint_is_whole",
        "ablation/test_run.py::test_a_killed_run_goes_on_to_the_same_end",
    ),
    "bring-your-own CSV": (
        "evaluation/test_brought.py::test_a_wrong_cell_is_named_by_row_and_column",
        "evaluation/test_brought.py::test_a_sum_that_is_not_1",
        "evaluation/test_brought.py::test_an_unknown_image",
        "evaluation/test_brought.py::test_an_image_twice_names_both_rows",
        "evaluation/test_brought.py::test_each_missing_column_is_named",
        "evaluation/test_brought.py::test_a_million_rows_are_refused_at_once",
        "pages/test_compare_pages.py::test_errors_of_a_csv_are_named_by_row_and_formulas_neutralised",
        "serving/test_tables.py::test_formulas_get_an_apostrophe",
        "serving/test_output.py::test_csv_is_neutralised_and_parquet_is_not",
    ),
    "addresses with junk, enormous values, script": (
        "attacks/test_addresses.py::test_junk_in_every_parameter_of_every_part_of_every_page",
        "attacks/test_addresses.py::test_a_different_junk_in_every_parameter_also_in_those_that_choose_the_part",
        "attacks/test_addresses.py::test_what_is_no_choice_is_said",
    ),
    "the server: this machine alone, no other site, no traces, no files": (
        "test_architecture.py::test_the_server_says_no_by_default",
        "attacks/test_server.py::test_a_page_of_another_site_cannot_talk_to_it",
        "attacks/test_server.py::test_another_name_for_this_machine_is_refused",
        "attacks/test_server.py::test_nobody_from_another_machine",
        "attacks/test_server.py::test_no_file_of_the_machine_comes_out",
        "pages/test_door.py::test_a_server_open_to_the_network_shows_nothing",
    ),
    "sign-in": (
        "browser/test_sign_in.py::test_nobody_sees_a_page_without_signing_in",
        "pages/test_door.py::test_with_sign_in_a_stranger_sees_only_the_door",
        "pages/test_door.py::test_a_damaged_secrets_file_lets_nobody_in",
    ),
    "behind a reverse proxy with TLS": (
        "pages/test_door.py::test_a_request_through_a_proxy",
        "browser/test_proxy.py::test_without_sign_in_the_proxy_shows_nothing",
        "browser/test_proxy.py::test_signed_in_a_lesion_is_uploaded_and_read_through_the_proxy",
    ),
    "health": (
        "serving/test_models.py::test_check_of_sound_models_is_0",
        "serving/test_models.py::test_check_of_a_damaged_model_is_1_and_names_it",
        "serving/test_models.py::test_check_of_a_model_that_answers_nan_is_1",
    ),
    "privacy: what is kept, where images go, what an operator adds": (
        "pages/test_privacy.py::test_page_and_readme_say_what_is_kept_and_what_an_operator_adds",
        "pages/test_privacy.py::test_the_page_says_whether_there_is_a_sign_in",
        "attacks/test_uploads.py::test_no_upload_touches_the_disk",
        "attacks/test_visits.py::test_a_page_that_was_left_is_forgotten",
        "attacks/test_visits.py::test_what_was_downloaded_is_gone_with_the_visit",
        "attacks/test_visits.py::test_what_was_downloaded_goes_with_the_image_that_it_was_made_of",
        "attacks/test_visits.py::test_a_report_waits_for_its_visitor_while_others_click",
    ),
    "supply chain; no network at run time": (
        "test_requirements.py::test_everything_locked_has_hashes",
        "test_requirements.py::test_the_lock_file_holds_the_pins",
        "attacks/test_network.py::test_the_dashboard_and_a_prediction_need_no_network",
        "attacks/test_network.py::test_the_health_check_needs_no_network",
    ),
}
"""Attack -> its tests, as pytest names them beneath tests/; those of `soak.py` are run by `make soak`."""


MANY = 10
"""Defences at least that `mutate.py` takes away, one at a time."""


@cache
def functions_of(path: Path) -> set[str]:
    """Names of the test functions of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("row", ROWS)
def test_every_row_leads_to_its_tests(row: str) -> None:
    missing = []
    for named in ROWS[row]:
        file, _, function = named.partition("::")
        if not (TESTS / file).is_file() or function not in functions_of(TESTS / file):
            missing.append(named)
    assert missing == []


def test_the_mutants_are_of_defences_that_are_there(mutants) -> None:
    """Whether each is caught, `make mutate` says; what it changes must not go out of date until then."""
    assert len(mutants) >= MANY
    for mutant in mutants:
        assert mutant.place(TESTS.parent) is not None, mutant.defence
        file, _, function = mutant.test.partition("::")
        assert function in functions_of(TESTS / file), mutant.defence


def test_every_test_of_this_folder_that_is_made_for_an_attack_runs_somewhere() -> None:
    """Named test_*, or run by `make soak`, which continuous integration runs, too."""
    makefile = (TESTS.parent / "Makefile").read_text(encoding="utf-8")
    for file in {named.partition("::")[0] for row in ROWS.values() for named in row}:
        assert Path(file).name.startswith("test_") or f"tests/{file}" in makefile
