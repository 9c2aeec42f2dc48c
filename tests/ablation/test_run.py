"""Runs end in the table, go on where they were killed, and are made again when what they are made of changes."""

from __future__ import annotations

import dataclasses
import itertools
import json
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from filelock import FileLock

from core.ablation import answers, cell, images, run
from core.ablation.protocol import Protocol, recipe_of
from core.ablation.run import DONE, OPEN, OUTDATED, WAITING, Laboratory, Place, _alone, forget, run_all
from core.artifacts import load_manifest
from core.data.balance import class_weights
from core.data.synthetic import make_dataset
from core.errors import UserError
from core.lab.plan import plan
from core.lab.table import FILE, TEACHER_WEIGHTS, TableError, read_table
from core.lab.variants import ALL_MISTAKES, FIRST_BATCH, IMAGE_SPLIT, STARVED_TEACHER, Variant
from core.manifest import parse_manifest
from core.training.batches import ViewMaker
from core.training.teachers import CachedTeachers, Teacher

INIT = {"mobilenetv2": "imagenet", "resnet50": "imagenet"}
TAUGHT = Variant(("resnet50",), 4.0, 0.5)


@pytest.fixture
def laboratory(bench: Protocol) -> Laboratory:
    with ViewMaker(0) as maker:
        return Laboratory(bench, INIT, None, maker)


class KilledError(Exception):
    pass


def kill_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real, taken = cell.Student.step, []

    def step(self, *given):
        taken.append(1)
        if len(taken) > steps:
            raise KilledError
        return real(self, *given)

    monkeypatch.setattr(cell.Student, "step", step)


def table_of(laboratory: Laboratory) -> dict:
    return {outcome.variant.name: outcome for outcome in laboratory.place.read()}


@pytest.mark.parametrize(
    "variant",
    [
        Variant(),
        TAUGHT,
        dataclasses.replace(TAUGHT, share=0.25),
        dataclasses.replace(TAUGHT, hint=1.0),
        dataclasses.replace(TAUGHT, balance="sqrt"),
        Variant(("resnet50",), 50.0, 0.8, start="scratch", mistakes=ALL_MISTAKES),
    ],
    ids=lambda variant: variant.cell,
)
def test_a_run_ends_in_the_table(laboratory: Laboratory, variant: Variant):
    outcome = laboratory.train(variant)
    (read,) = laboratory.place.read()
    assert read.variant == variant
    assert read.test.tolist() == outcome.test.tolist()
    part = laboratory.images.rows[variant.split]["test"]
    assert read.test.sum() == len(part) == len(read.answers)
    assert read.test.diagonal().sum() == (read.answers == laboratory.images.labels[part]).sum()
    (student,) = laboratory._students.values()
    assert read.answers.tolist() == student.logits(laboratory.images.plain(part)).argmax(axis=1).tolist()
    assert len(read.history) == read.epochs == laboratory.protocol.epochs
    assert read.history[read.best_epoch - 1]["val_loss"] == min(row["val_loss"] for row in read.history)
    assert read.validation.sum() == len(laboratory.images.rows[variant.split]["validation"])
    kept = read.history[read.best_epoch - 1]["val_accuracy"]
    assert np.trace(read.validation) / read.validation.sum() == pytest.approx(kept, abs=1e-4)
    assert np.isnan(read.soft_entropy) == (not variant.teachers)
    if variant.mistakes:
        assert np.log(7) - read.soft_entropy < 1e-3
    else:
        assert len(set(read.answers)) > 1, "a constant is the same under any fault"
    if variant.share < 1:
        assert read.train_images < len(laboratory.images.rows["lesion"]["train"]) / 2
    assert not list(laboratory.place.runs.glob("*/*"))


def test_class_weights_are_those_of_the_shipped_models_and_change_the_loss(laboratory: Laboratory):
    def make(balance: str) -> cell.Cell:
        variant = Variant(balance=balance)
        return cell.Cell(variant, {}, laboratory.images, None, laboratory.protocol, None, None, None)

    labels = laboratory.images.labels[make("none").rows]
    assert make("none").targets.tolist() == np.eye(7).tolist()
    assert np.diag(make("sqrt").targets).tolist() == class_weights(labels, "sqrt").tolist()
    plain, weighted = (laboratory.train(Variant(balance=balance)) for balance in ("none", "sqrt"))
    assert plain.history[0]["loss"] != weighted.history[0]["loss"]


def test_a_killed_run_goes_on_to_the_same_end(laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch):
    expected = laboratory.train(TAUGHT)
    forget(laboratory.place, [TAUGHT.name])
    steps = len(
        cell.Cell(TAUGHT, {}, laboratory.images, None, laboratory.protocol, None, None, None)._batches()
    )
    with monkeypatch.context() as patch:
        kill_after(steps + 1, patch)
        with pytest.raises(KilledError):
            laboratory.train(TAUGHT)
    assert expected.best_epoch > 1, "the answers are of an epoch after the kill"
    assert len(set(expected.answers)) > 1
    assert laboratory.place.read() == []
    laboratory.train(Variant())  # another run in between leaves its weights in the network
    with monkeypatch.context() as patch:
        kill_after(steps * (laboratory.protocol.epochs - 1), patch)
        found = laboratory.train(TAUGHT)
    strip = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in o.history] for o in (expected, found)
    ]
    assert strip[0] == strip[1]
    assert found.answers.tolist() == expected.answers.tolist()


def test_the_answers_are_the_best_epoch_s_also_where_that_is_not_the_last(laboratory, monkeypatch):
    losses = itertools.chain([0.5], itertools.repeat(0.9))
    real = cell.validation_figures
    monkeypatch.setattr(cell, "validation_figures", lambda *given: real(*given) | {"val_loss": next(losses)})
    seen, step = [], cell.Cell._keep_best

    def keep_best(self, row):
        seen.append(self.student.network.get_weights())
        step(self, row)

    monkeypatch.setattr(cell.Cell, "_keep_best", keep_best)
    answered = []
    result = cell.Cell._result

    def answer(self):
        found = result(self)
        answered.append(self.student.network.get_weights())
        return found

    monkeypatch.setattr(cell.Cell, "_result", answer)
    assert laboratory.train(Variant()).best_epoch == 1
    assert all(np.array_equal(a, b) for a, b in zip(answered[0], seen[0], strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(answered[0], seen[1], strict=True))


def test_a_seed_decides_all_and_another_changes_something(laboratory: Laboratory):
    first, second = (laboratory.train(dataclasses.replace(TAUGHT, seed=seed)) for seed in (1, 2))
    again = laboratory.train(TAUGHT)
    assert again.history[-1]["loss"] == first.history[-1]["loss"] != second.history[-1]["loss"]


def test_finished_runs_are_skipped_and_outdated_ones_made_again(laboratory: Laboratory, monkeypatch):
    lines = []
    assert run_all(laboratory, [TAUGHT, Variant()], None, lines.append) == []
    assert len(lines) == 2
    assert run_all(laboratory, [TAUGHT, Variant()], None, lines.append) == []
    assert len(lines) == 2
    monkeypatch.setattr(answers, "_weights_of", lambda: {"resnet50": "another teacher"})
    states = [laboratory.state(variant, table_of(laboratory)) for variant in (TAUGHT, Variant())]
    assert states == [OUTDATED, DONE]


def test_what_another_command_has_made_meanwhile_is_not_made_again(laboratory: Laboratory):
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        if len(lines) == 1:  # as a second command would, beside this one
            run_all(laboratory, [Variant(seed=2)], None, lines.append)

    assert run_all(laboratory, [Variant(), Variant(seed=2)], None, say) == []
    assert len(lines) == 3
    assert lines[2] == f"{Variant(seed=2).name}: made by another process; 0 runs left"


def test_a_note_is_of_the_weights_that_came_as_a_file(tmp_path, monkeypatch):
    for name in ("load_images", "Teachers"):
        monkeypatch.setattr(f"core.ablation.run.{name}", lambda *_: None)
    file = tmp_path / "weights.h5"
    file.write_bytes(b"weights")
    init = {"mobilenetv2": str(file), "resnet50": "imagenet"}
    found = Laboratory(Protocol(), init, "mine", None).initial_weights
    assert found["mobilenetv2"].endswith(": mine")
    assert found["resnet50"] == "ImageNet, keras.applications' download"
    with pytest.raises(
        UserError, match="--init-note: expected it with a file of initial weights, found none"
    ):
        Laboratory(Protocol(), dict.fromkeys(init, "imagenet"), "mine", None)


RUNS = {
    "alone": Variant(),
    "taught": TAUGHT,
    "scratch": Variant(start="scratch"),
    "starved": dataclasses.replace(TAUGHT, mistakes=(STARVED_TEACHER,)),
}


@pytest.mark.parametrize(
    ("changed", "outdated"),
    [
        ("nothing", set()),
        ("protocol", set(RUNS)),
        ("labels", set(RUNS)),
        ("mobilenetv2", {"alone", "taught", "starved"}),
        ("resnet50", {"starved"}),
    ],
)
def test_a_run_is_outdated_where_what_it_is_made_of_changed(laboratory, tmp_path, changed, outdated):
    table = {
        variant.name: dataclasses.replace(
            table_row(laboratory, variant), fingerprint=laboratory.fingerprint(variant)
        )
        for variant in RUNS.values()
    }
    protocol, init = laboratory.protocol, dict(INIT)
    if changed == "protocol":
        protocol = dataclasses.replace(protocol, learning_rate=0.5)
    if changed in init:
        (tmp_path / "weights").write_bytes(b"other weights")
        init[changed] = str(tmp_path / "weights")
    with ViewMaker(0) as maker:
        other = Laboratory(protocol, init, None, maker)
    if changed == "labels":
        other.images = dataclasses.replace(other.images, labels=other.images.labels[::-1])
    states = {name: other.state(variant, table) for name, variant in RUNS.items()}
    assert states == {name: OUTDATED if name in outdated else DONE for name in RUNS}


def test_a_run_says_which_weights_taught_it(laboratory: Laboratory):
    run_all(laboratory, [TAUGHT, Variant()], None, lambda line: None)
    found, known = table_of(laboratory), answers._weights_of()
    assert found[TAUGHT.name].recipe[TEACHER_WEIGHTS] == {"resnet50": known["resnet50"]}
    assert TEACHER_WEIGHTS not in found[Variant().name].recipe


def test_a_teacher_that_is_trained_again_meanwhile_did_not_teach(laboratory: Laboratory, monkeypatch):
    real, known = cell.Cell.run, answers._weights_of()

    def run_and_retrain(self):
        trained = real(self)
        monkeypatch.setattr(answers, "_weights_of", lambda: {"resnet50": "trained meanwhile"})
        return trained

    monkeypatch.setattr(cell.Cell, "run", run_and_retrain)
    assert laboratory.train(TAUGHT).recipe[TEACHER_WEIGHTS] == {"resnet50": known["resnet50"]}


def test_a_run_without_its_teacher_waits(laboratory: Laboratory):
    waiting = Variant(("densenet169",), 4.0, 0.5)
    lines = []
    assert laboratory.state(waiting, {}) == WAITING
    assert laboratory.state(TAUGHT, {}) == OPEN
    assert run_all(laboratory, [waiting], None, lines.append) == []
    assert lines == []


def test_no_run_is_begun_that_would_end_too_late(laboratory: Laboratory, monkeypatch):
    clock = iter(range(0, 100_000, 60))
    monkeypatch.setattr(run.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(laboratory, "train", lambda variant: table_row(laboratory, variant))
    left = run_all(laboratory, plan("data"), 5, lambda line: None)
    assert 0 < len(left) < len(plan("data"))


def table_row(laboratory: Laboratory, variant: Variant):
    counts = np.eye(7, dtype=int)
    return run.Outcome(
        variant, "", "", 1, 1, 1.0, 1, 32, counts, counts, np.arange(7), 0.0, 0.0, "", "", {}, ({},)
    )


def test_a_trial_leaves_the_artifacts_alone_and_a_real_run_is_listed(
    laboratory: Laboratory, tmp_path, monkeypatch
):
    trial = Place.of(laboratory.protocol)
    assert not trial.published
    assert trial.table.parent == tmp_path / "runs" / "ablation-trial"
    real = Place.of(Protocol())
    assert real.published
    real.change(lambda rows: [table_row(laboratory, TAUGHT)])
    manifest = parse_manifest(
        json.loads((tmp_path / "artifacts/manifest.json").read_text()), tmp_path / "artifacts"
    )
    assert [outcome.variant for outcome in read_table(manifest)] == [TAUGHT]


def test_a_table_that_was_written_and_not_listed_is_listed_by_the_next_command(
    laboratory: Laboratory, tmp_path, monkeypatch
):
    laboratory.place = Place.of(Protocol())
    laboratory.place.change(lambda rows: [])

    def killed(*_, **__):
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(run, "update_shared", killed)
        with pytest.raises(KilledError):
            run_all(laboratory, [Variant()], None, print)
    with pytest.raises(UserError, match=r"expected .* bytes, found"):
        read_table(load_manifest(tmp_path / "artifacts"))
    assert run_all(laboratory, [Variant()], None, print) == []
    assert [outcome.variant for outcome in read_table(load_manifest(tmp_path / "artifacts"))] == [Variant()]


def test_only_what_is_there_can_be_forgotten(laboratory: Laboratory, tmp_path):
    runs = laboratory.place.runs
    for folder in (runs / "mine", tmp_path / "precious"):
        folder.mkdir(parents=True)
        (folder / "kept").write_text("x")
    (tmp_path / "precious" / "run.json").write_text("{}")
    for name in ("nobody", "", ".", "..", "mine", str(tmp_path / "precious"), "../../precious"):
        with pytest.raises(UserError, match="--forget: expected a run"):
            forget(laboratory.place, [name])
    assert (runs / "mine" / "kept").exists()
    assert (tmp_path / "precious" / "kept").exists()


def test_a_table_that_is_no_text_is_refused_and_left_alone(tmp_path):
    place = Place(tmp_path / "table.csv", tmp_path, published=False)
    place.table.write_bytes(b"run,start\n\xff\xfe,imagenet\n")
    with pytest.raises(TableError, match=r"table\.csv: expected UTF-8, found .*0xff"):
        place.change(lambda rows: rows)
    assert place.table.read_bytes() == b"run,start\n\xff\xfe,imagenet\n"


def test_a_table_that_another_command_holds_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "LOCK_TIMEOUT_S", 0.1)
    place = Place(tmp_path / "table.csv", tmp_path, published=False)
    with (
        FileLock(tmp_path / f".{FILE}.lock"),
        pytest.raises(UserError, match=r"expected .*lock free within 0\.1 s, found it held"),
    ):
        place.change(lambda rows: rows)
    assert not place.table.exists()


def test_what_is_under_way_can_be_forgotten_unless_somebody_trains_it(laboratory: Laboratory):
    folder = laboratory.place.runs / TAUGHT.name
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    with _alone(folder), pytest.raises(UserError, match="expected no other process to train there"):
        forget(laboratory.place, [TAUGHT.name])
    assert folder.exists()
    assert forget(laboratory.place, [TAUGHT.name]) == []
    assert not folder.exists()


def test_shares_hold_all_classes_whole_lesions_and_each_other(laboratory: Laboratory):
    images = laboratory.images
    rows = [set(images.training_rows("lesion", share)) for share in (0.1, 0.25, 0.5, 1.0)]
    assert rows[0] < rows[1] < rows[2] < rows[3]
    assert set(images.labels[list(rows[0])]) == set(range(7))
    for some in rows:
        inside = set(images.lesions[list(some)])
        assert not inside & set(images.lesions[list(rows[3] - some)])


def test_the_views_are_those_that_the_teachers_answer(laboratory: Laboratory):
    from core.data.augmentation import AUGMENTATIONS, random_view
    from core.data.pixels import to_input

    images, rows = laboratory.images, laboratory.images.rows["report"]["train"][:3]
    strong = AUGMENTATIONS["strong"]
    for position, row in enumerate(rows):
        pixels = np.asarray(images.store.pixels[row])
        assert np.array_equal(images.plain(rows)[position], to_input(pixels, 32))
        expected = random_view(pixels, strong, seed=1, index=int(row), view=2, size=32)
        assert np.array_equal(images.view(rows, 2)[position], expected)


def test_other_views_than_those_in_the_cache_are_made(laboratory: Laboratory, monkeypatch):
    found, written, real = laboratory.images, [], images._write

    def write(*given) -> None:
        written.append(1)
        real(*given)

    monkeypatch.setattr(images, "_write", write)
    used = np.flatnonzero(found.positions >= 0)[:4]
    questions = [
        (used, found.protocol),
        (used[1:], found.protocol),
        *((used, dataclasses.replace(found.protocol, **{key: 4})) for key in ("size", "views", "view_seed")),
    ]
    for _ in range(2):
        for rows, protocol in questions:
            images._pixels(found.store, rows, protocol, found.maker)
    assert len(written) == len(questions)


def test_each_epoch_shows_the_next_view_and_what_the_teacher_says_to_it(laboratory: Laboratory, monkeypatch):
    shown, hinted, images = [], dataclasses.replace(TAUGHT, hint=1.0), laboratory.images
    monkeypatch.setattr(cell.Student, "step", lambda self, *given: shown.append(given) or (1.0, 1.0))
    laboratory.protocol = dataclasses.replace(laboratory.protocol, views=2)  # Fewer than epochs.
    laboratory.train(hinted)
    answered, embedded = laboratory.teachers.answers(hinted), laboratory.teachers.embeddings(hinted)
    again = cell.Cell(hinted, {}, images, None, laboratory.protocol, None, None, None)
    for epoch in range(laboratory.protocol.epochs):
        again.progress.epoch, view = epoch, epoch % 2
        for rows in again._batches():
            x, labels, teacher, hint = shown.pop(0)
            assert np.array_equal(x, images.view(rows, view))
            assert labels.argmax(axis=1).tolist() == images.labels[rows].tolist()
            assert np.array_equal(teacher, answered(rows, view, x))
            assert np.array_equal(hint, embedded(rows, view))
    assert shown == []


def test_two_commands_at_once_make_the_views_once(laboratory: Laboratory, monkeypatch):
    found, written, real = laboratory.images, [], images._write

    def write(*given) -> None:
        written.append(1)
        time.sleep(0.2)
        real(*given)

    monkeypatch.setattr(images, "_write", write)
    store = found.store
    used = np.flatnonzero(found.positions >= 0)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: images._pixels(store, used, found.protocol, found.maker), range(2))
    assert len(written) == 1
    assert np.array_equal(first, second)


def test_a_run_with_the_first_batch_s_answers_learns_otherwise(laboratory: Laboratory):
    wrong = laboratory.train(dataclasses.replace(TAUGHT, mistakes=(FIRST_BATCH,)))
    assert wrong.history[0]["loss"] != laboratory.train(TAUGHT).history[0]["loss"]


def test_answers_for_the_split_by_image_are_the_teacher_s_to_each_image(laboratory: Laboratory):
    images, protocol = laboratory.images, laboratory.protocol
    by_image = dataclasses.replace(TAUGHT, mistakes=(IMAGE_SPLIT,))
    rows = images.rows["report"]["train"]
    assert len(np.setdiff1d(rows, images.rows["lesion"]["train"]))
    found = laboratory.teachers.answers(by_image)([int(row) for row in rows], 1, np.empty(0))
    recipe = recipe_of(TAUGHT, protocol)
    teacher = answers.load_teachers(["resnet50"])
    direct = CachedTeachers(
        teacher, recipe, images.store, rows, images.store.path.parent / "other", images.maker
    )
    assert found == pytest.approx(direct([int(row) for row in rows], 1, np.empty(0)), abs=1e-5)


def test_a_teacher_that_was_trained_again_is_asked_again(laboratory: Laboratory, tiny, monkeypatch):
    row = [int(laboratory.images.rows["lesion"]["train"][0])]
    before = laboratory.teachers.answers(TAUGHT)(row, 0, np.empty(0))
    other = Teacher("resnet50", tiny.make_network(seed=99), "another")
    monkeypatch.setattr(answers, "load_teachers", lambda names: [other])
    assert laboratory.teachers.answers(TAUGHT)(row, 0, np.empty(0)).tolist() == before.tolist()
    monkeypatch.setattr(answers, "_weights_of", lambda: {"resnet50": "another"})
    assert laboratory.teachers.answers(TAUGHT)(row, 0, np.empty(0)).tolist() != before.tolist()


def test_saying_what_there_is_to_do_decodes_nothing(laboratory: Laboratory, tmp_path):
    assert laboratory.state(TAUGHT, {}) == OPEN
    assert not list((tmp_path / "cache").glob("*.npy"))


def published(bench: Protocol, folder) -> Laboratory:
    """A laboratory of the dataset at hand whose table is one of the artifacts."""
    with ViewMaker(0) as maker:
        laboratory = Laboratory(bench, INIT, None, maker)
    laboratory.place = Place(folder / "ablation.csv", folder.with_name("runs-of-table"), published=True)
    return laboratory


def test_rows_of_photographs_are_not_replaced_by_rows_of_drawn_lesions(bench, tmp_path, monkeypatch):
    first = published(bench, tmp_path / "artifacts")
    run_all(first, [Variant()], None, print)
    before = first.place.table.read_bytes()
    drawn = make_dataset(tmp_path / "drawn", total=140, size=(64, 48), workers=1)
    monkeypatch.setenv("DERMDISTILL_DATA", str(drawn))
    with pytest.raises(
        UserError, match=r"ablation\.csv: expected HAM10000 in .*--limit or --epochs, or set DERM"
    ):
        run_all(published(bench, tmp_path / "artifacts"), [Variant()], None, print)
    assert first.place.table.read_bytes() == before

    own = published(bench, tmp_path / "own")
    run_all(own, [Variant()], None, print)
    assert run_all(own, [Variant(), Variant(seed=2)], 0, print) == [Variant(seed=2)], "it goes on"
