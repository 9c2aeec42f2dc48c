"""Synthetic lesions: deterministic, labelled, plausible, learnable and not trivial."""

import csv
import errno
import json
import time
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from core.data import synthetic
from core.data.ham10000 import SYNTHETIC_PREFIX, open_dataset
from core.data.splits import assign
from core.data.synthetic import SYNTHETIC_NOTICE, SyntheticError, dataset, make_dataset, render
from core.data.synthetic.records import COLUMNS
from core.lesions import CODES

EACH = 36
SIDE = 96
SITES = {"abdomen", "acral", "back", "chest", "ear", "face", "foot", "genital", "hand", "lower extremity", "neck",
         "scalp", "trunk", "unknown", "upper extremity"}  # fmt: skip


@pytest.fixture(scope="module")
def lesions():
    """Lesions of each class, code -> list."""
    return {code: [render(code, seed, SIDE) for seed in range(EACH)] for code in CODES}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A written dataset of small images."""
    return make_dataset(tmp_path_factory.mktemp("synthetic") / "set", per_class=16, seed=4, size=(96, 72))


def lab(image):
    """CIELAB, lightness 0..100, float32."""
    return cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


def accuracy(features, labels):
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=500))
    return cross_val_score(model, np.array(features), labels, cv=4).mean()


def colour_and_texture(image):
    """Percentiles of the colours, strength of four scales of texture, contrast of the middle."""
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float32)
    flat = pixels.reshape(-1, 3)
    features = [np.percentile(flat, [2, 10, 50, 90, 98], axis=0).ravel()]
    for sigma in (1, 2, 4, 8):
        band = cv2.GaussianBlur(pixels, (0, 0), sigma) - cv2.GaussianBlur(pixels, (0, 0), 2 * sigma)
        deviation = band.std((0, 1)) + 1e-3
        features += [np.log(deviation), ((band / deviation) ** 3).mean((0, 1))]
    middle = pixels[28:68, 28:68].reshape(-1, 3)
    features += [middle.mean(0) - np.median(flat, 0), middle.std(0)]
    return np.concatenate(features)


# The same bits


@pytest.mark.parametrize("code", CODES)
def test_the_same_arguments_give_the_same_bits(code):
    first, again = render(code, 5, 64), render(code, 5, 64)
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.mask, again.mask)
    assert (first.record, first.tone, first.structures) == (again.record, again.tone, again.structures)


def test_threads_do_not_change_the_bits():
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        one = render("mel", 3, (240, 180)).image
        cv2.setNumThreads(4)
        assert np.array_equal(one, render("mel", 3, (240, 180)).image)
    finally:
        cv2.setNumThreads(before)


def test_other_seeds_classes_and_views_differ(lesions):
    images = [lesion.image.tobytes() for group in lesions.values() for lesion in group]
    assert len(set(images)) == len(CODES) * EACH
    assert len({lesion.record["lesion_id"] for group in lesions.values() for lesion in group}) == len(images)


def test_another_view_is_the_same_lesion_otherwise_seen():
    one, other = render("nv", 8, 128), render("nv", 8, 128, view=1)
    assert not np.array_equal(one.image, other.image)
    assert (one.tone, one.structures) == (other.tone, other.structures)
    assert one.record["image_id"] != other.record["image_id"]
    same = set(COLUMNS) - {"image_id"}
    assert {k: one.record[k] for k in same} == {k: other.record[k] for k in same}
    # Magnification differs by at most 1.12 / 0.90, turning and shifting keep the area.
    assert 0.6 < one.mask.sum() / other.mask.sum() < 1.7


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("seed", [1, 2])
def test_another_resolution_shows_the_same_lesion(code, seed):
    large, small = render(code, seed, 384), render(code, seed, 128)
    reduced = cv2.resize(large.image, (128, 128), interpolation=cv2.INTER_AREA)
    blurred = [cv2.GaussianBlur(image, (0, 0), 1.0).astype(float).ravel() for image in (reduced, small.image)]
    assert np.corrcoef(*blurred)[0, 1] > 0.97
    mask = cv2.resize(large.mask.astype(np.uint8), (128, 128), interpolation=cv2.INTER_AREA).astype(bool)
    assert (mask & small.mask).sum() / (mask | small.mask).sum() > 0.9


def test_a_square_is_the_middle_of_the_whole_frame():
    square, frame = render("df", 3, 180), render("df", 3, (240, 180))
    assert np.array_equal(square.mask, synthetic.lesion._largest(frame.mask[:, 30:210]))


# What is drawn


def test_shapes_types_and_range(lesions):
    for lesion in (group[0] for group in lesions.values()):
        assert (lesion.image.shape, lesion.image.dtype) == ((SIDE, SIDE, 3), np.uint8)
        assert (lesion.mask.shape, lesion.mask.dtype) == ((SIDE, SIDE), np.bool_)
        assert lesion.image.std() > 5
        assert 0 <= lesion.tone <= 1
    assert render("bcc", 0, (150, 100)).image.shape == (100, 150, 3)


def test_masks_are_one_region_of_sensible_size(lesions):
    for code, group in lesions.items():
        for lesion in group:
            count, _ = cv2.connectedComponents(lesion.mask.astype(np.uint8), connectivity=4)
            assert count == 2, (code, lesion.record)
            assert 0.02 < lesion.mask.mean() < 0.75, (code, lesion.record, lesion.mask.mean())
    fractions = [lesion.mask.mean() for group in lesions.values() for lesion in group]
    assert np.std(fractions) > 0.04


def test_masks_lie_where_the_picture_changes(lesions):
    """The lesion's colour differs from the skin's more than one ring of skin from the next."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
    better = []
    for group in lesions.values():
        for lesion in group:
            mask, colours = lesion.mask.astype(np.uint8), lab(lesion.image)
            near = cv2.dilate(mask, kernel, iterations=2) > 0
            far = (cv2.dilate(mask, kernel, iterations=4) > 0) & ~near
            if far.sum() < 200:
                continue
            skin = np.median(colours[near & ~lesion.mask], axis=0)
            contrast = np.linalg.norm(colours[lesion.mask] - skin, axis=1).mean()
            background = np.linalg.norm(colours[far] - skin, axis=1).mean()
            better.append(contrast > background)
    assert len(better) > 100
    assert np.mean(better) > 0.75


def test_tones_darken_the_skin():
    for code, seed in zip(CODES, range(7), strict=True):
        lightness = []
        for tone in (0.0, 0.25, 0.5, 0.75, 1.0):
            lesion = render(code, seed, SIDE, tone)
            assert lesion.tone == tone
            lightness.append(np.median(lab(lesion.image)[..., 0][~lesion.mask]))
        assert np.all(np.diff(lightness) < -4), (code, lightness)
        assert lightness[0] - lightness[-1] > 30


def test_the_seed_draws_light_and_dark_skin_for_every_class(lesions):
    for code, group in lesions.items():
        tones = [lesion.tone for lesion in group]
        assert min(tones) < 0.15, code
        assert max(tones) > 0.6, code


@pytest.mark.parametrize(
    ("code", "structure", "least"),
    [
        ("nv", "pigment network, regular", 0.3),
        ("nv", "globules, regular", 0.15),
        ("mel", "pigment network, irregular", 0.5),
        ("mel", "blue-white veil", 0.3),
        ("bcc", "arborising vessels", 0.6),
        ("bcc", "blue-grey ovoid nests", 0.3),
        ("bkl", "milia-like cysts", 0.4),
        ("bkl", "comedo-like openings", 0.3),
        ("df", "central white scar-like patch", 0.9),
        ("df", "delicate peripheral network", 0.9),
        ("akiec", "scale", 0.6),
        ("akiec", "strawberry pattern", 0.35),
        ("vasc", "red lacunae", 0.3),
    ],
)
def test_classes_have_their_structures(lesions, code, structure, least):
    assert np.mean([structure in lesion.structures for lesion in lesions[code]]) >= least


@pytest.mark.parametrize(
    ("code", "structure"),
    [
        ("bcc", "network"),
        ("nv", "veil"),
        ("nv", "arborising"),
        ("df", "lacunae"),
        ("vasc", "network"),
    ],
)
def test_classes_lack_what_excludes_them(lesions, code, structure):
    assert not any(structure in name for lesion in lesions[code] for name in lesion.structures)


def test_pixels_show_what_the_class_says(lesions):
    def shares(code, claim):
        return np.mean([claim(lab(lesion.image), lesion.mask) for lesion in lesions[code]])

    def redder(colours, mask):
        return colours[mask][:, 1].mean() > np.median(colours[~mask][:, 1]) + 5

    def pale_middle(colours, mask):
        distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
        middle, rim = distance > 0.7 * distance.max(), mask & (distance < 0.45 * distance.max())
        return colours[middle][:, 0].mean() > colours[rim][:, 0].mean() + 3

    def variegation(code):
        return np.mean([lab(lesion.image)[lesion.mask].std(0).sum() for lesion in lesions[code]])

    assert shares("vasc", redder) > 0.8
    assert shares("bkl", redder) < 0.2
    assert shares("df", pale_middle) > 0.7
    assert shares("nv", pale_middle) < 0.2
    assert variegation("mel") > 1.2 * variegation("nv")


# Learnable, not trivial


def test_classes_are_learnable_but_colour_alone_does_not_give_them_away(lesions):
    labels = np.repeat(np.arange(len(CODES)), EACH)
    images = [lesion.image for code in CODES for lesion in lesions[code]]
    by_colour = accuracy([image.reshape(-1, 3).mean(0) for image in images], labels)
    by_features = accuracy([colour_and_texture(image) for image in images], labels)
    assert by_colour < 0.5
    assert 0.6 < by_features < 0.99
    assert by_features > by_colour + 0.25


def test_skin_and_instrument_do_not_give_the_class_away(lesions):
    """Hairs, tube and tone come to all classes alike; age and site tie only a little to the skin."""
    labels = np.repeat(np.arange(len(CODES)), EACH)
    features = []
    for lesion in (lesion for code in CODES for lesion in lesions[code]):
        image = lesion.image.astype(np.float32)
        corners = np.concatenate([image[:12, :12], image[:12, -12:], image[-12:, :12], image[-12:, -12:]])
        features.append(np.concatenate([corners.reshape(-1, 3).mean(0), corners.reshape(-1, 3).std(0)]))
    assert accuracy(features, labels) < 0.35


# Records and labels


def test_records_follow_the_schema(lesions):
    for code, group in lesions.items():
        for lesion in group:
            record = lesion.record
            assert set(record) == set(COLUMNS)
            assert record["dx"] == code
            assert record["dx_type"] in {"histo", "follow_up", "consensus", "confocal"}
            assert record["sex"] in {"male", "female"}
            assert record["localization"] in SITES
            assert 0 < record["age"] <= 85
            assert record["age"] % 5 == 0
    assert all(lesion.record["dx_type"] == "histo" for lesion in lesions["mel"])
    ages = {code: np.mean([lesion.record["age"] for lesion in group]) for code, group in lesions.items()}
    assert ages["nv"] < ages["akiec"] - 10


def test_everything_says_that_it_is_synthetic(lesions, folder):
    assert synthetic.ID_PREFIX == SYNTHETIC_PREFIX
    lesion = lesions["nv"][0]
    assert lesion.notice == SYNTHETIC_NOTICE
    assert str(lesion.record["image_id"]).startswith("SYN_")
    assert str(lesion.record["lesion_id"]).startswith("SYN_")
    assert json.loads((folder / "SYNTHETIC.json").read_text())["notice"] == SYNTHETIC_NOTICE
    with Image.open(folder / "images" / "SYN_0000001.jpg") as image:
        assert image.info["comment"].decode() == SYNTHETIC_NOTICE
    assert open_dataset(folder).is_synthetic


# Datasets


def test_a_written_set_reads_as_ham10000(folder):
    data = open_dataset(folder)
    assert not data.findings
    assert len(data) == 16 * len(CODES)
    assert set(data.records["dx"].value_counts()) == {16}
    assert list(data.records["image_id"][:2]) == ["SYN_0000001", "SYN_0000002"]
    image = cv2.imdecode(np.frombuffer(data.read_bytes("SYN_0000003"), np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (72, 96, 3)
    with (folder / "HAM10000_metadata.csv").open() as table:
        assert tuple(next(csv.reader(table))) == COLUMNS
    views = data.records.groupby("lesion_id").agg({"dx": "nunique", "age": "nunique", "image_id": "size"})
    assert set(views["dx"]) == set(views["age"]) == {1}
    assert views["image_id"].between(1, 3).all()
    assert (views["image_id"] > 1).any()
    assert set(assign(data.records, "lesion")) == {"train", "validation", "test"}


def test_ids_do_not_tell_the_class(folder):
    classes = list(open_dataset(folder).records["dx"])
    runs = 1 + sum(a != b for a, b in pairwise(classes))
    assert runs > len(classes) / 2


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_set_is_a_function_of_its_seed(tmp_path):
    one, again, other = (
        make_dataset(tmp_path / name, per_class=1, seed=seed, size=(64, 48))
        for name, seed in (("one", 1), ("again", 1), ("other", 2))
    )
    assert contents(one) == contents(again)
    assert contents(one)["SYN_0000001.jpg"] != contents(other)["SYN_0000001.jpg"]


@pytest.mark.slow
def test_processes_do_not_change_the_set(tmp_path):
    one = make_dataset(tmp_path / "one", per_class=1, size=(64, 48))
    two = make_dataset(tmp_path / "two", per_class=1, size=(64, 48), workers=2)
    assert contents(one) == contents(two)


def test_a_killed_run_goes_on(tmp_path):
    class Killed(Exception):
        pass

    def kill(done, total):
        if done == 3:
            raise Killed

    whole = make_dataset(tmp_path / "whole", per_class=1, size=(64, 48))
    with pytest.raises(Killed):
        make_dataset(tmp_path / "killed", per_class=1, size=(64, 48), progress=kill)
    assert not (tmp_path / "killed" / "HAM10000_metadata.csv").exists()
    written = sorted((tmp_path / "killed" / "images").iterdir())
    assert len(written) == 3
    times = [path.stat().st_mtime_ns for path in written]
    again = make_dataset(tmp_path / "killed", per_class=1, size=(64, 48))
    assert [path.stat().st_mtime_ns for path in written] == times
    assert contents(again) == contents(whole)


@pytest.mark.parametrize("failing", ["write_bytes", "replace"])
def test_a_disk_that_was_full_at_the_beginning_keeps_nobody_out(tmp_path, monkeypatch, failing):
    def full(*given):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(*((Path, failing) if failing == "write_bytes" else (dataset.os, failing)), full)
        with pytest.raises(SyntheticError, match="No space left on device"):
            make_dataset(tmp_path / "set", per_class=1, size=(64, 48))
    assert list((tmp_path / "set").iterdir()) == [], "nor is anything left of it"
    make_dataset(tmp_path / "set", per_class=1, size=(64, 48))


def test_a_run_that_was_killed_before_its_mark_was_there_goes_on(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / ".SYNTHETIC.json.123.part").write_text('{"coun')
    make_dataset(tmp_path, per_class=1, size=(64, 48))
    assert (tmp_path / "HAM10000_metadata.csv").exists()


@pytest.mark.parametrize("name", ["images/mine.jpg", ".hidden", "images"])
def test_what_else_begins_like_a_set_is_left_alone(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(SyntheticError, match="found files"):
        make_dataset(tmp_path, per_class=1, size=(64, 48))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [Path(name).name]


@pytest.mark.parametrize(
    ("total", "mix", "counts"),
    [(7, "even", {1}), (72, "even", {10, 11}), (70, "ham10000", None), (1000, "ham10000", None)],
)
def test_totals_are_met(total, mix, counts):
    shared = dataset._counts(None, total, mix)
    assert sum(shared.values()) == total
    assert min(shared.values()) >= min(5, total // 7)
    if counts:
        assert set(shared.values()) == counts
    if mix == "ham10000":
        assert max(shared, key=shared.get) == "nv"
    plan = dataset.Plan(shared, 0, 64, 64)
    drawn = [picture.code for picture in dataset.plan_pictures(plan)]
    assert {code: drawn.count(code) for code in CODES} == shared


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "per_class or total"),
        ({"per_class": 1, "total": 9}, "per_class or total"),
        ({"total": 6}, "at least one image"),
        ({"per_class": 0}, "at least one image"),
        ({"per_class": 1, "seed": -1}, "seed"),
        ({"per_class": 1, "size": (16, 16)}, "size"),
        ({"total": 9, "mix": "odd"}, "mix"),
    ],
)
def test_a_set_that_cannot_be_is_refused(tmp_path, arguments, message):
    with pytest.raises(SyntheticError, match=message):
        make_dataset(tmp_path / "set", **arguments)
    assert not (tmp_path / "set").exists()


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(SyntheticError, match="found files"):
        make_dataset(tmp_path, per_class=1)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_another_synthetic_set_is_left_alone(tmp_path):
    make_dataset(tmp_path, per_class=1, seed=1, size=(64, 48))
    before = contents(tmp_path)
    with pytest.raises(SyntheticError, match="another synthetic set"):
        make_dataset(tmp_path, per_class=1, seed=2, size=(64, 48))
    assert contents(tmp_path) == before


def test_a_file_in_the_way_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SyntheticError, match="expected a folder"):
        make_dataset(tmp_path / "file", per_class=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("naevus", 0), "naevus"),
        (("nv", -1), "-1"),
        (("nv", 0, 16), "16x16"),
        (("nv", 0, (300, 20)), "300x20"),
        (("nv", 0, 64, 1.5), "1.5"),
    ],
)
def test_arguments_out_of_range_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        render(*arguments)


def test_it_is_quick():
    """Below 40 ms of an idle core at 224 pixels; the test allows for a busy or slow machine."""
    means = []
    for _ in range(3):
        start = time.process_time()
        for code in CODES:
            render(code, 1, 224)
        means.append((time.process_time() - start) / len(CODES))
    assert min(means) < 0.12
