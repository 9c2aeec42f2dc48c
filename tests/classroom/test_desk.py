"""One lesson at a time, a queue that is told, a stop that stops, and nobody left behind."""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from core.classroom.desk import DONE, FAILED, LEFT_AFTER, RUNNING, STOPPED, WAITING, Desk, Ticket
from core.classroom.lesson import Order

ORDER = Order("synthetic", "student")
QUICK = """
import json, sys
order = json.loads(sys.stdin.readline())
print(json.dumps({"kind": "note", "text": "drawing"}), flush=True)
for i in range(3):
    print(json.dumps({"kind": "point", "arm": "alone", "epoch": i, "seed": order["seed"]}), flush=True)
print(json.dumps({"kind": "end"}), flush=True)
"""
ENDLESS = QUICK.replace('print(json.dumps({"kind": "end"}), flush=True)', "import time; time.sleep(60)")
BROKEN = "import sys; sys.exit(1)"
REFUSED = 'import json; print(json.dumps({"kind": "error", "text": "no such teacher"}), flush=True)'
MUMBLING = 'print("hello")'


def desk(program: str, **options) -> Desk:
    return Desk((sys.executable, "-c", program), **options)


def until(ticket: Ticket, state: str, one: Desk, seconds: float = 20.0) -> float:
    begun = time.monotonic()
    while ticket.state != state and time.monotonic() - begun < seconds:
        one.beat(ticket)
        time.sleep(0.02)
    assert ticket.state == state, (ticket.state, ticket.note)
    return time.monotonic() - begun


def running_with_points(one: Desk) -> Ticket:
    ticket = one.ask(ORDER)
    while len(ticket.points) < 3:
        assert not ticket.is_over, ticket.note
        one.beat(ticket)
        time.sleep(0.02)
    return ticket


def test_a_lesson_gives_its_points_and_ends():
    one = desk(QUICK)
    ticket = one.ask(ORDER)
    assert ticket.state == RUNNING
    until(ticket, DONE, one)
    assert [point["epoch"] for point in ticket.points] == [0, 1, 2]
    assert ticket.points[0]["seed"] == ORDER.seed
    assert ticket.first <= ticket.ended
    assert ticket.note == ""


def test_relative_folders_are_those_of_the_server(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DERMDISTILL_ARTIFACTS", "mine")
    program = (
        'import json, os; print(json.dumps({"kind": "error", "text": os.environ["DERMDISTILL_ARTIFACTS"]}))'
    )
    one = desk(program)
    ticket = one.ask(ORDER)
    until(ticket, FAILED, one)
    assert str(tmp_path / "mine") in ticket.note


def test_others_queue_and_move_up():
    one = desk(ENDLESS)
    first = running_with_points(one)
    second, third = one.ask(ORDER), one.ask(ORDER)
    assert (second.state, third.state) == (WAITING, WAITING)
    assert [one.ahead(t) for t in (first, second, third)] == [0, 1, 2]
    one.stop(second)
    assert one.ahead(third) == 1
    one.stop(first)
    assert third.state == RUNNING
    one.stop(third)


def test_stop_works_within_two_seconds_and_leaves_no_process():
    took = []
    for _ in range(3):  # a machine that stops for a moment does not so three times
        one = desk(ENDLESS)
        ticket = running_with_points(one)
        process = one._process
        begun = time.monotonic()
        one.stop(ticket)
        took.append(time.monotonic() - begun)
    assert min(took) < 2
    assert process.poll() is not None
    assert ticket.state == STOPPED
    assert len(ticket.points) == 3


def test_who_has_left_is_let_go_and_the_next_one_begins():
    one = desk(ENDLESS)
    left = running_with_points(one)
    process = one._process
    stays, gone = one.ask(ORDER), one.ask(ORDER)
    stays.beat -= LEFT_AFTER / 2
    one.beat(stays)
    assert time.monotonic() - stays.beat < LEFT_AFTER / 2
    for ticket in (left, gone):
        ticket.beat -= LEFT_AFTER + 1  # nobody has looked for so long
    ends = time.monotonic() + 60
    while not (gone.is_over and stays.state == RUNNING) and time.monotonic() < ends:
        one.beat(stays)
        time.sleep(0.02)
    assert (left.state, stays.state, gone.state) == (STOPPED, RUNNING, STOPPED)
    assert left.left
    assert process.poll() is not None
    one.stop(stays)


def test_time_ends_a_lesson_that_does_not_end_itself():
    one = desk(ENDLESS, ends_after=1.0)
    ticket = one.ask(ORDER)
    until(ticket, STOPPED, one)
    assert ticket.overdue


def test_what_a_lesson_waits_for_is_not_its_own_time(tmp_path):
    go = tmp_path / "go"
    waits = QUICK.replace(
        "for i in",
        f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.02)\n"
        'print(json.dumps({"kind": "material", "text": "these"}), flush=True)\nfor i in',
    )
    one = desk(waits, ends_after=60.0)
    ticket = one.ask(ORDER)
    ticket.begun -= 90  # it waits for longer than a lesson may take
    time.sleep(0.5)  # some ticks of the desk
    go.touch()
    until(ticket, DONE, one)
    assert not ticket.overdue
    assert ticket.ended - ticket.begun < 60
    one = desk("import time; time.sleep(60)", starts_within=0.5)
    ticket = one.ask(ORDER)
    until(ticket, STOPPED, one)
    assert ticket.overdue


@pytest.mark.parametrize(
    ("program", "said"),
    [(BROKEN, "ended before"), (REFUSED, "no such teacher"), (MUMBLING, "not be understood")],
)
def test_a_lesson_that_fails_says_why_and_frees_the_desk(program: str, said: str):
    one = desk(program)
    ticket = one.ask(ORDER)
    until(ticket, FAILED, one)
    assert said in ticket.note
    again = one.ask(ORDER)
    until(again, FAILED, one)


def test_a_process_that_cannot_be_started_fails_its_lesson_alone(monkeypatch):
    one, start, refused = desk(ENDLESS), subprocess.Popen, [1, 1, 1]

    def busy(*given, **named):
        if refused:
            refused.pop()
            raise OSError(errno.EMFILE, "Too many open files")
        return start(*given, **named)

    first = running_with_points(one)
    monkeypatch.setattr(subprocess, "Popen", busy)
    second, third = one.ask(ORDER), one.ask(ORDER)
    one.stop(first)
    until(second, FAILED, one)
    until(third, FAILED, one)
    assert second.note == "The lesson's process could not be started (Too many open files)."
    one.prepare(replace(ORDER, size=64))
    assert not refused, "asked for three processes"
    fourth = running_with_points(one)
    one.stop(fourth)


def test_many_may_ask_at_once():
    one = desk(QUICK)
    tickets = []
    threads = [threading.Thread(target=lambda: tickets.append(one.ask(ORDER))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _ in range(400):
        for ticket in tickets:
            one.beat(ticket)
        if all(ticket.state == DONE for ticket in tickets):
            break
        time.sleep(0.05)
    assert [ticket.state for ticket in tickets] == [DONE] * 5
    assert all(len(ticket.points) == 3 for ticket in tickets)


def test_preparing_is_done_once_and_gives_way_to_a_lesson(tmp_path):
    note = f"open({str(tmp_path / 'prepared')!r}, 'a').write('x')"
    program = f"import sys\nif '--prepare' in sys.argv: {note}; import time; time.sleep(60)\n" + QUICK
    one = desk(program)
    one.prepare(ORDER)
    one.prepare(ORDER)
    begun, path = time.monotonic(), tmp_path / "prepared"
    while not (path.exists() and path.read_text() == "x") and time.monotonic() - begun < 60:
        time.sleep(0.02)
    preparing = one._preparing
    ticket = one.ask(ORDER)
    assert preparing.poll() is not None
    until(ticket, DONE, one)
    one.prepare(ORDER)
    assert one._preparing is None, "the lesson has made it"
    assert (tmp_path / "prepared").read_text() == "x"


def test_what_gave_way_to_a_lesson_on_other_images_is_prepared_afterwards():
    one = desk("import sys, time\nif '--prepare' in sys.argv: time.sleep(60)\n" + QUICK)
    other = replace(ORDER, size=64)
    assert other.size != ORDER.size
    one.prepare(other)
    until(one.ask(ORDER), DONE, one)
    one.prepare(other)
    assert one._preparing is not None
    assert one._preparing.poll() is None
    one._preparing.kill()


def test_a_finished_preparation_is_no_zombie():
    one = desk("import sys")
    one.prepare(ORDER)
    begun = time.monotonic()
    while one._preparing.returncode is None and time.monotonic() - begun < 10:
        time.sleep(0.02)
    assert one._preparing.returncode == 0, "without anybody asking"
