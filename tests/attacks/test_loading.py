"""Files that run code when they are opened, or read other files: nothing of the kind is ever loaded, from anywhere."""

from __future__ import annotations

import io
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from core.artifacts import ModelEntry, load_manifest, update_model
from core.errors import UserError
from core.evaluation.brought import BroughtError, read_brought
from core.evaluation.predictions import Predictions
from core.lesions import CODES
from core.networks.classifiers import NETWORKS, Network, WeightsError, build
from core.networks.trained import load_trained
from core.serving.gate import FittedGate
from core.serving.intake import Rejection, read_image
from core.serving.projection import Projection
from core.serving.registry import ModelUnavailable, Registry
from core.serving.similar import LesionIndex
from core.training.checkpoint import Checkpoint, read_state

RUNS = ("lambda.keras", "pickle.pkl", "objects.npz", "objects.npy")
"""Files that would run code."""
LEADS_OUT = ("external link", "external folder", "soft link", "external storage", "virtual")
"""Files whose arrays lie in another file."""


class Trap:
    """Whatever opens a pickle of this runs code: it writes the file `mark`."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return open, (str(self.mark), "w")


@pytest.fixture(scope="module")
def armed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder with one of each of `RUNS`, and the file that their code would write."""
    folder = tmp_path_factory.mktemp("armed")
    mark = folder / "mark"
    run = eval(f"lambda x: (open({str(mark)!r}, 'w').close(), x)[1]")
    inputs = keras.Input((4, 4, 3))
    keras.Model(inputs, keras.layers.Lambda(run, output_shape=(4, 4, 3))(inputs)).save(folder / RUNS[0])
    (folder / RUNS[1]).write_bytes(pickle.dumps(Trap(mark)))
    objects = np.array([Trap(mark), None], object)
    np.savez(folder / RUNS[2], objects, __network__=objects, state=objects, version=objects)
    np.save(folder / RUNS[3], objects)
    mark.unlink(missing_ok=True)
    return folder, mark


@pytest.fixture
def quiet(armed) -> Path:
    """The folder of `armed`; afterwards none of its code has run."""
    folder, mark = armed
    yield folder
    assert not mark.exists()


def test_the_traps_work(armed) -> None:
    """Otherwise the tests below could not fail."""
    folder, mark = armed
    opened = {
        RUNS[0]: lambda path: keras.saving.load_model(path, safe_mode=False)(np.zeros((1, 4, 4, 3))),
        RUNS[1]: lambda path: pickle.loads(path.read_bytes()),
        RUNS[2]: lambda path: np.load(path, allow_pickle=True)["state"],
        RUNS[3]: lambda path: np.load(path, allow_pickle=True),
    }
    for name, load in opened.items():
        load(folder / name)
        assert mark.exists(), name
        mark.unlink()


# As initial weights ----------------------------------------------------------------------------------------------


def tiny(include_top=False, weights=None, input_tensor=None, input_shape=None) -> keras.Model:
    """As much of a `keras.applications` function as `build` uses."""
    image = input_tensor if input_tensor is not None else keras.Input(input_shape)
    x = keras.layers.Conv2D(6, 3, strides=4, name="tiny_conv")(image)
    model = keras.Model(keras.utils.get_source_inputs(image) if input_tensor is not None else image, x)
    if weights is not None:
        model.load_weights(weights)
    return model


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(keras.applications, "Tiny", tiny, raising=False)
    monkeypatch.setitem(NETWORKS, "tiny", Network("Tiny", "Tiny", "tf"))
    return "tiny"


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """Initial weights as they should be."""
    path = tmp_path / "whole.weights.h5"
    tiny(input_shape=(224, 224, 3)).save_weights(path)
    return path


def arrays_of(path: Path) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}

    def take(name: str, node: h5py.Group | h5py.Dataset) -> None:
        if isinstance(node, h5py.Dataset):
            found[name] = node[()]

    with h5py.File(path) as file:
        file.visititems(take)
    return found


def lead_out(whole: Path, how: str) -> Path:
    """The same weights with the first array elsewhere: a file of somebody else's."""
    name, values = next(iter(arrays_of(whole).items()))
    other, path = whole.with_name("other.h5"), whole.with_name("leads.weights.h5")
    shutil.copyfile(whole, other)
    shutil.copyfile(whole, path)
    with h5py.File(path, "r+") as file:
        if how == "soft link":
            file["aside"] = values
        parent = name.rpartition("/")[0]
        del file[parent if how == "external folder" else name]
        if how == "external link":
            file[name] = h5py.ExternalLink(str(other), name)
        elif how == "external folder":
            file[parent] = h5py.ExternalLink(str(other), parent)
        elif how == "soft link":
            file[name] = h5py.SoftLink("/aside")
        elif how == "external storage":
            raw = whole.with_name("raw")
            raw.write_bytes(np.ascontiguousarray(values).tobytes())
            file.create_dataset(name, values.shape, values.dtype, external=[(str(raw), 0, values.nbytes)])
        else:
            layout = h5py.VirtualLayout(values.shape, values.dtype)
            layout[...] = h5py.VirtualSource(str(other), name, values.shape)
            file.create_virtual_dataset(name, layout)
    return path


def test_whole_weights_are_taken(network: str, whole: Path) -> None:
    kernel = build(network, init=str(whole)).get_layer("tiny_conv").kernel
    assert any(np.array_equal(kernel, array) for array in arrays_of(whole).values())


@pytest.mark.parametrize("how", LEADS_OUT)
def test_an_h5_file_that_leads_out_of_itself_is_no_initial_weights(
    network: str, whole: Path, how: str
) -> None:
    path = lead_out(whole, how)
    assert len(arrays_of(path)) <= len(arrays_of(whole))
    with pytest.raises(
        WeightsError, match=r"expected every array in the file itself, found: .* is (a link|stored)"
    ):
        build(network, init=str(path))


@pytest.mark.parametrize("ending", [".h5", ".hdf5", ".keras", ".weights.json", ".pkl", ""])
def test_by_its_name_no_other_reader_of_keras_gets_a_file(network: str, whole: Path, ending: str) -> None:
    """Keras goes by the ending; the readers of older H5 files and of archives look at less, and run more."""
    path = whole.rename(whole.with_name(f"weights{ending}"))
    with pytest.raises(WeightsError, match=r"expected a file named \*\.weights\.h5"):
        build(network, init=str(path))


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("ending", [None, ".weights.h5", ".npz"])
def test_what_runs_code_is_no_initial_weights(
    network, quiet, tmp_path: Path, name: str, ending: str | None
) -> None:
    path = tmp_path / (name if ending is None else f"renamed{ending}")
    shutil.copyfile(quiet / name, path)
    with pytest.raises(UserError, match="expected"):
        build(network, init=str(path))


# As artifacts, runs and uploads ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RUNS)
def test_what_runs_code_is_no_model(quiet: Path, tmp_path: Path, name: str) -> None:
    """Although the manifest lists it, with its right hash."""
    for file in ("models/x.tflite", "weights/x.npz"):
        (tmp_path / file).parent.mkdir()
        shutil.copyfile(quiet / name, tmp_path / file)
    files = {"litert": "models/x.tflite", "weights": "weights/x.npz"}
    update_model(tmp_path, "student", ModelEntry("student", "S", "student", "mobilenetv2"), files)
    with pytest.raises(ModelUnavailable, match="model student: expected a LiteRT model"):
        Registry.open(tmp_path).get("student")
    with pytest.raises(UserError, match="expected"):
        load_trained(load_manifest(tmp_path), "student", size=64)


READERS: dict[str, Callable[[bytes], object]] = {
    "gate": lambda data: FittedGate.from_bytes(data, "x"),
    "similar lesions": lambda data: LesionIndex.from_bytes(data, "x"),
    "map": lambda data: Projection.from_bytes(data, "x"),
    "predictions": lambda data: Predictions.from_bytes(data, "x"),
}


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("reader", READERS)
def test_what_runs_code_is_no_other_artifact(quiet: Path, name: str, reader: str) -> None:
    with pytest.raises(UserError, match="expected"):
        READERS[reader]((quiet / name).read_bytes())


@pytest.mark.parametrize("name", RUNS)
def test_what_runs_code_is_no_run(quiet: Path, name: str) -> None:
    with pytest.raises(UserError, match="expected"):
        read_state(quiet / name)
    with pytest.raises(UserError, match="expected"):
        Checkpoint.read(quiet / name, {})


@pytest.mark.parametrize("name", [*RUNS, "h5"])
def test_what_runs_code_is_no_upload(quiet: Path, name: str) -> None:
    """Neither an image nor a model's probabilities."""
    data = (quiet / name).read_bytes() if name in RUNS else h5_bytes()
    assert isinstance(read_image(data, "lesion.jpg"), Rejection)
    ids = np.array([f"ISIC_{number:07d}" for number in range(7)])
    reference = Predictions("s", ids, ids, np.arange(7), np.eye(len(CODES)), np.array(["test"] * 7))
    with pytest.raises(BroughtError):
        read_brought(data, reference)


def h5_bytes() -> bytes:
    target = io.BytesIO()
    with h5py.File(target, "w") as file:
        file["x"] = h5py.ExternalLink(os.devnull, "/")
    return target.getvalue()
