"""A LiteRT file of any number of images -> the same network for one image at a time.

Files of `core.compression.litert` can be resized to a batch. LiteRT.js refuses to run such a file on a batch of one,
and a phone never needs another.
Source of the format: LiteRT's schema.fbs (`ai_edge_litert.schema_py_generated`).
"""

from __future__ import annotations

from ai_edge_litert.tools.flatbuffer_utils import convert_object_to_bytearray, read_model_from_bytearray


def one_image(content: bytes) -> bytes:
    """The file without what marks its batch as open; its weights, operators and signature stay as they are.

    Args:
        content: a LiteRT file.
    """
    model = read_model_from_bytearray(content)
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.shapeSignature = None
    return bytes(convert_object_to_bytearray(model))
