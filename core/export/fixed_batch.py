"""A LiteRT file of any number of images -> the same network for one image at a time.

Files of `core.compression.litert` can be resized to a batch. LiteRT.js refuses to run such a file on a batch of one,
and a phone never needs another.
"""

from __future__ import annotations

from core.serving.flatbuffer import pack, unpack


def one_image(content: bytes) -> bytes:
    """The file without what marks its batch as open; its weights, operators and signature stay as they are.

    Args:
        content: a LiteRT file.

    Raises:
        FlatFileError: it is none.
    """
    model = unpack(content)
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.shapeSignature = None
    return pack(model)
