"""Weight files: save, load, same output; and what is refused."""

from __future__ import annotations

import struct
import zipfile

import keras
import numpy as np
import pytest

from core.errors import UserError
from core.lesions import CODES, ClassOrderError
from core.networks import weights as module
from core.networks.weights import WeightFileError, load_weights, save_weights


@pytest.fixture(autouse=True)
def small(monkeypatch) -> None:
    """Of the tiny network the convolution's kernel is a large one, the dense layers' are small."""
    monkeypatch.setattr(module, "SMALL_KERNEL", 50)


def make_network(units: int = 5) -> keras.Model:
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="conv")(image)
    x = keras.layers.BatchNormalization(name="bn")(x)
    x = keras.layers.Dropout(0.5, name="dropout")(keras.layers.GlobalAveragePooling2D(name="pool")(x))
    return keras.Model(
        image, keras.layers.Dense(7, name="logits")(keras.layers.Dense(units, name="hidden")(x))
    )


def scrambled(seed: int) -> keras.Model:
    network, rng = make_network(), np.random.default_rng(seed)
    for variable in network.weights:
        variable.assign(rng.uniform(0.1, 1, variable.shape).astype(np.float32))
    return network


@pytest.fixture
def saved(tmp_path):
    network = scrambled(1)
    # A moving variance that float16 could not hold.
    network.get_layer("bn").moving_variance.assign([1e5, 2e5, 1.0, 1e-6])
    path = tmp_path / "weights" / "tiny.npz"
    save_weights(network, path, "tiny")
    return network, path


def output(network: keras.Model) -> np.ndarray:
    x = np.random.default_rng(0).uniform(0, 1, (4, 8, 8, 3)).astype(np.float32)
    return keras.ops.convert_to_numpy(network(x, training=False))


def rewrite(path, **changes):
    """The file with some of its arrays replaced, or taken out (None)."""
    with np.load(path) as file:
        arrays = {key: file[key] for key in file.files} | changes
    with path.open("wb") as file:
        np.savez(file, **{key: value for key, value in arrays.items() if value is not None})


def test_kernels_used_in_bfloat16_are_stored_as_bfloat16_has_them(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = scrambled(1)
    finally:
        keras.config.set_dtype_policy("float32")
    kernel = keras.ops.convert_to_numpy(network.get_layer("conv").kernel)
    save_weights(network, tmp_path / "coarse.npz", "tiny")
    with np.load(tmp_path / "coarse.npz") as file:
        stored = file[network.get_layer("conv").kernel.path]
        assert file[network.get_layer("bn").gamma.path].dtype == np.float32
    assert stored.dtype == np.float16
    used = keras.ops.convert_to_numpy(keras.ops.cast(keras.ops.cast(kernel, "bfloat16"), "float32"))
    # Rounded twice, by way of float16, so that a kernel half way between two may come to the other.
    np.testing.assert_allclose(stored, used, rtol=2**-7)
    assert (stored == used).mean() > 0.9
    assert not (stored.view(np.uint16) & 7).any()
    load_weights(network, tmp_path / "coarse.npz", "tiny")
    save_weights(network, tmp_path / "again.npz", "tiny")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "coarse.npz").read_bytes()


@pytest.mark.parametrize("name", ["resnet50", "densenet169"])
def test_a_large_networks_kernels_are_stored_so_whatever_trained_them(tmp_path, name):
    network = scrambled(1)
    save_weights(network, tmp_path / "weights.npz", name)
    with np.load(tmp_path / "weights.npz") as file:
        assert not (file[network.get_layer("conv").kernel.path].view(np.uint16) & 7).any()


def test_kernels_used_in_float32_keep_all_of_float16(saved):
    network, path = saved
    with np.load(path) as file:
        stored = file[network.get_layer("conv").kernel.path]
    assert (stored.view(np.uint16) & 7).any()


def test_the_same_output_within_float16(saved):
    network, path = saved
    fresh = scrambled(2)
    assert not np.allclose(output(fresh), output(network), rtol=0.05)
    load_weights(fresh, path, "tiny")
    assert output(fresh) == pytest.approx(output(network), rel=3e-3, abs=1e-3)


def test_a_second_round_changes_nothing_more(saved, tmp_path):
    _, path = saved
    once = scrambled(2)
    load_weights(once, path, "tiny")
    save_weights(once, tmp_path / "again.npz", "tiny")
    twice = scrambled(3)
    load_weights(twice, tmp_path / "again.npz", "tiny")
    assert all(np.array_equal(a, b) for a, b in zip(once.get_weights(), twice.get_weights(), strict=True))


def test_large_kernels_are_float16_small_ones_and_vectors_float32(saved):
    network, path = saved
    with np.load(path, allow_pickle=False) as file:
        found = {key: file[key] for key in file.files}
    assert found.pop("__classes__").tolist() == list(CODES)
    assert str(found.pop("__network__")) == "tiny"
    assert set(found) == {variable.path for variable in network.weights}
    assert {key: a.dtype for key, a in found.items()} == {
        key: np.dtype(np.float16 if key == "conv/kernel" else np.float32) for key in found
    }
    assert found["bn/moving_variance"] == pytest.approx([1e5, 2e5, 1.0, 1e-6])


def test_another_networks_weights_are_refused(saved):
    _, path = saved
    with pytest.raises(WeightFileError, match="expected weights of resnet50, found tiny"):
        load_weights(make_network(), path, "resnet50")


def test_another_class_order_is_refused(saved):
    network, path = saved
    rewrite(path, __classes__=np.array(CODES[::-1]))
    before = output(network)
    with pytest.raises(ClassOrderError, match="expected the classes akiec bcc") as caught:
        load_weights(network, path, "tiny")
    assert isinstance(caught.value, UserError), "the command line would print a traceback"
    assert np.array_equal(output(network), before)


@pytest.mark.parametrize("missing", ["__classes__", "__network__", "logits/bias"])
def test_a_file_without_one_of_its_parts_is_refused(saved, missing):
    _, path = saved
    rewrite(path, **{missing: None})
    with pytest.raises((WeightFileError, ClassOrderError), match="expected"):
        load_weights(make_network(), path, "tiny")


def test_other_shapes_are_refused_and_named(saved):
    _, path = saved
    with pytest.raises(WeightFileError, match="hidden/bias"):
        load_weights(make_network(units=6), path, "tiny")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(saved, share):
    _, path = saved
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(WeightFileError, match=r"tiny.npz: expected a weight file"):
        load_weights(make_network(), path, "tiny")


@pytest.mark.parametrize("at", range(0, 60, 7))
def test_a_flipped_byte_is_refused(saved, at):
    _, path = saved
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo("conv/kernel.npy")
    name, extra = struct.unpack_from("<HH", data, entry.header_offset + 26)
    assert at < entry.compress_size
    data[entry.header_offset + 30 + name + extra + at] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(WeightFileError, match="expected a weight file"):
        load_weights(make_network(), path, "tiny")


@pytest.mark.parametrize(("place", "value"), [(8, 1), (10, 99)], ids=["as if encrypted", "another method"])
def test_a_byte_of_the_archive_s_directory_is_refused(saved, place, value):
    _, path = saved
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + place] = value
    path.write_bytes(data)
    with pytest.raises(WeightFileError, match="expected a weight file"):
        load_weights(make_network(), path, "tiny")


@pytest.mark.parametrize("content", [b"", b"not weights", b"\x93NUMPY"])
def test_something_else_is_refused(tmp_path, content):
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    with pytest.raises(WeightFileError, match="expected a weight file"):
        load_weights(make_network(), path, "tiny")


def test_a_single_array_is_no_weight_file(tmp_path):
    path = tmp_path / "x.npz"
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(WeightFileError, match="expected a weight file"):
        load_weights(make_network(), path, "tiny")


def test_no_file_is_refused(tmp_path):
    with pytest.raises(WeightFileError, match="expected a weight file"):
        load_weights(make_network(), tmp_path / "nothing.npz", "tiny")


def test_a_pickle_is_not_opened(saved):
    network, path = saved
    rewrite(path, **{"logits/bias": np.array([{"an": "object"}], dtype=object)})
    with pytest.raises(WeightFileError, match="expected a weight file"):
        load_weights(network, path, "tiny")


def test_killed_while_writing_the_old_file_stays(saved, monkeypatch):
    class Killed(BaseException):
        pass

    network, path = saved
    before = path.read_bytes()

    def killed(file, **_):
        file.write(b"PK")
        raise Killed

    monkeypatch.setattr(module.np, "savez_compressed", killed)
    with pytest.raises(Killed):
        save_weights(network, path, "tiny")
    assert path.read_bytes() == before
