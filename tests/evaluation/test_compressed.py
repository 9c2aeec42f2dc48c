"""The compression curves: written, read, replaced; refused when they make no sense."""

import json
from dataclasses import replace

import pytest

from core.artifacts import load_manifest, update_shared
from core.evaluation.compressed import (
    CHANNELS,
    FILE,
    MAGNITUDE,
    WHOLE,
    CurveError,
    Curves,
    Point,
    add_points,
    read_curves,
)

WHOLE_POINT = Point(WHOLE, 1.0, 0.8, 0.7, 2_900_000, 300_000_000, 4_000_000, 3_500_000, 4.0, 1.0)
HALF = Point(CHANNELS, 0.5, 0.79, 0.69, 1_500_000, 150_000_000, 2_400_000, 2_000_000, 2.2, 0.55, 4)
SPARSE = Point(MAGNITUDE, 0.8, 0.78, 0.66, 700_000, 300_000_000, 4_000_000, 1_500_000, 4.0, 1.0, 4)


def curves(*points, **changes):
    return replace(Curves("student", "abc", 1573, "a machine", points), **changes)


def there(*points, hardware="a machine"):
    """Points as they are stored, each with its machine."""
    return tuple(replace(point, hardware=hardware) for point in points)


def test_points_gather_from_run_to_run(tmp_path):
    add_points(tmp_path, curves(WHOLE_POINT, SPARSE))
    add_points(tmp_path, curves(WHOLE_POINT, replace(HALF, share=0.7)))
    add_points(tmp_path, curves(WHOLE_POINT, HALF))
    found = read_curves(load_manifest(tmp_path))
    assert found == curves(*there(WHOLE_POINT, HALF, replace(HALF, share=0.7), SPARSE))
    assert found.whole == there(WHOLE_POINT)[0]
    assert found.elsewhere == ()
    assert [point.share for point in found.of(CHANNELS)] == [0.5, 0.7]
    assert found.table()["method"].tolist() == ["Not pruned", *["Whole channels"] * 2, "Single weights"]


def test_times_of_other_days_are_told_in_the_milliseconds_of_the_last(tmp_path):
    add_points(tmp_path, curves(WHOLE_POINT, SPARSE))
    slower = replace(WHOLE_POINT, milliseconds=9.0)
    add_points(tmp_path, curves(slower, replace(HALF, milliseconds=4.95)))
    found = read_curves(load_manifest(tmp_path))
    assert [point.milliseconds for point in found.points] == pytest.approx([9.0, 4.95, 9.0])


def test_a_time_stays_with_the_machine_that_it_is_of(tmp_path):
    """What 8-bit numbers gain differs between processors: no ratio of one is told in another's milliseconds."""
    add_points(tmp_path, curves(WHOLE_POINT, SPARSE, hardware="first"))
    slower = replace(WHOLE_POINT, milliseconds=9.0)
    add_points(tmp_path, curves(slower, replace(HALF, milliseconds=4.95), hardware="second"))
    found = read_curves(load_manifest(tmp_path))
    assert [point.milliseconds for point in found.points] == pytest.approx([9.0, 4.95, 4.0])
    assert found.hardware == "second"
    assert [point.method for point in found.elsewhere] == [MAGNITUDE]
    assert found.table()["hardware"].tolist() == ["second", "second", "first"]


def test_a_machine_with_newer_programs_is_the_same_machine(tmp_path):
    before, after = (
        f"AMD EPYC (AVX2), 2 cores, 25 GB, Debian, Python 3.11.{k}, LiteRT 2.3.0" for k in (7, 9)
    )
    add_points(tmp_path, curves(WHOLE_POINT, SPARSE, hardware=before))
    add_points(tmp_path, curves(replace(WHOLE_POINT, milliseconds=5.0), hardware=after))
    found = read_curves(load_manifest(tmp_path))
    assert found.elsewhere == ()
    assert [point.milliseconds for point in found.points] == [5.0, 5.0]
    add_points(tmp_path, curves(WHOLE_POINT, hardware=after.replace("AVX2", "AVX-512 VNNI")))
    assert [point.method for point in read_curves(load_manifest(tmp_path)).elsewhere] == [MAGNITUDE]


def test_points_that_name_no_machine_are_of_the_curves_own(tmp_path):
    path = add_points(tmp_path, curves(WHOLE_POINT, HALF, hardware="first"))
    old = json.loads(path.read_text())
    for point in old["points"]:
        del point["hardware"]
    path.write_text(json.dumps(old))
    update_shared(tmp_path, {"compression": FILE})
    add_points(tmp_path, curves(WHOLE_POINT, SPARSE, hardware="second"))
    found = read_curves(load_manifest(tmp_path))
    assert [found.machine(point) for point in found.points] == ["second", "first", "second"]


def test_a_point_measured_again_takes_the_old_one_s_place(tmp_path):
    add_points(tmp_path, curves(WHOLE_POINT, HALF))
    again = replace(HALF, accuracy=0.81)
    add_points(tmp_path, curves(WHOLE_POINT, again))
    assert read_curves(load_manifest(tmp_path)).points == there(WHOLE_POINT, again)


@pytest.mark.parametrize("change", [{"parent_sha256": "new"}, {"parent": "baseline"}, {"images": 20}])
def test_points_of_another_network_go(tmp_path, change):
    add_points(tmp_path, curves(WHOLE_POINT, SPARSE))
    add_points(tmp_path, curves(WHOLE_POINT, HALF, **change))
    assert read_curves(load_manifest(tmp_path)).points == there(WHOLE_POINT, HALF)


def test_nothing_pruned_is_no_error(tmp_path):
    update_shared(tmp_path, {})
    assert read_curves(load_manifest(tmp_path)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"points": [{"method": "whole"}]},
        {"points": "many"},
        {"version": 2},
        {"points": [{**vars(HALF), "method": "magic"}]},
        {"points": [{**vars(HALF), "accuracy": None}]},
        {"points": [{**vars(HALF), "bytes": 0}]},
        {"points": [{**vars(HALF), "hardware": 3}]},
    ],
)
def test_files_that_hold_no_curves_are_refused_and_replaced(tmp_path, change):
    path = add_points(tmp_path, curves(WHOLE_POINT, HALF))
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    update_shared(tmp_path, {"compression": FILE})
    with pytest.raises(CurveError, match="expected compression curves"):
        read_curves(load_manifest(tmp_path))
    add_points(tmp_path, curves(WHOLE_POINT))
    assert read_curves(load_manifest(tmp_path)).points == there(WHOLE_POINT)
