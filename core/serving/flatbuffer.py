"""A LiteRT file as the objects of its schema, and back.

Source of the format: LiteRT's schema.fbs (`ai_edge_litert.schema_py_generated`).
"""

from __future__ import annotations

from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from core.errors import UserError

IDENTIFIER = b"TFL3"


class FlatFileError(UserError):
    """A file that is no LiteRT model, or none of ours."""


def unpack(content: bytes) -> Any:
    """The file's `ModelT`.

    Raises:
        FlatFileError: it is no LiteRT file.
    """
    if content[4:8] != IDENTIFIER:
        raise FlatFileError(f"expected a LiteRT file, found {len(content)} bytes that start otherwise")
    return schema.ModelT.InitFromPackedBuf(content, 0)


def pack(model: Any) -> bytes:
    """The file of a `ModelT`."""
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())
