"""What eight bits do to each layer's output."""

import numpy as np
import pytest

from core.artifacts import load_manifest, update_model
from core.compression import variants
from core.compression.agreement import layer_errors
from core.compression.litert import convert
from core.compression.variants import Images, Job, make
from core.evaluation.agreement import read_layers
from core.networks.explaining import explaining_graph


@pytest.fixture(scope="module")
def made(tiny, tmp_path_factory):
    """The explaining graph of the tiny network, its int8 file, and the images."""
    model = tiny.tiny_network(size=224)
    graph = explaining_graph(model)
    images = tiny.images(8, np.random.default_rng(0), 224)
    path = convert(graph, tmp_path_factory.mktemp("int8") / "model.tflite", "int8", images)
    return graph, path, images


def test_every_convolution_and_the_outputs_are_found_in_order(made):
    graph, path, images = made
    errors = layer_errors(graph, path, images, images)
    assert [e.layer for e in errors] == [
        "stem_relu", "depthwise_relu", "features", "pool", "hidden_relu", "logits", "maps"]  # fmt: skip
    assert {e.kind for e in errors} >= {"ReLU", "GlobalAveragePooling2D", "Dense", "GatedMaps"}
    assert all(10 < e.signal_to_noise_db < 80 for e in errors), errors


def test_a_layer_that_went_wrong_is_seen(made):
    """Against a graph whose depthwise layer differs, that layer and those after it are far off, the stem is not."""
    graph, path, images = made
    import keras

    other = keras.models.clone_model(graph)
    other.set_weights(graph.get_weights())
    beta = other.get_layer("depthwise_bn").beta
    beta.assign(keras.ops.convert_to_numpy(beta.value) + 1)
    right, wrong = (
        {e.layer: e.signal_to_noise_db for e in layer_errors(g, path, images, images)} for g in (graph, other)
    )
    assert wrong["stem_relu"] == pytest.approx(right["stem_relu"], abs=0.1)
    assert wrong["depthwise_relu"] < right["depthwise_relu"] - 10


def test_the_table_goes_into_the_manifest_and_out_again(tiny, tmp_path, monkeypatch):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/student.npz").write_bytes(b"weights")
    entry = {"title": "Student", "role": "student", "network": "mobilenetv2"}
    update_model(tmp_path, "student", entry, {"weights": "weights/student.npz"})
    monkeypatch.setattr(variants, "load_trained", lambda manifest, name: tiny.tiny_network(size=224))
    rng = np.random.default_rng(0)
    images = Images(tiny.images(8, rng, 224), tiny.images(4, rng, 224), "drawn")
    make(load_manifest(tmp_path), Job("student", "int8", "student-int8"), images)
    manifest = load_manifest(tmp_path)
    assert manifest.files["compression/student-int8-layers.csv"].format == "layer-error-csv"
    table = read_layers(manifest, "student-int8")
    assert table["layer"].tolist()[0] == "stem_relu"
    assert np.isfinite(table["signal_to_noise_db"]).all()
    assert read_layers(manifest, "student") is None
    make(manifest, Job("student", "float16", "student-int8"), images)
    assert read_layers(load_manifest(tmp_path), "student-int8") is None, "it was of the int8 file"
