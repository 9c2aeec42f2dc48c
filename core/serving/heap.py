"""The C library's heap: how much of what was freed it keeps for the next picture.

glibc hands the end of its heap back to the system as soon as twice the largest block so far is free. Reading a
photograph takes several such blocks and frees them, so every one would be fetched from the system anew, page by page:
two thirds of the time that reading takes. A batch keeps what it freed instead; its images are alike, so it stays small.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

KEPT_BYTES = 64 << 20
LARGEST_BYTES = 32 << 20
HEAPS, LARGE_BYTES, LEFT_BYTES = 4, 2 << 20, 4 << 20
"""Of a server: heaps, the least size of what lies outside of them, and what may stay free at the end of each."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""Of `mallopt`, from glibc's malloc.h; 32 MB is the largest that it accepts for the second."""


def keep_freed() -> bool:
    """Let this process keep up to `KEPT_BYTES` of freed memory in each of its heaps, from now on.

    Returns:
        Whether the C library took it; another than glibc is left as it is.
    """
    mallopt = _of_glibc("mallopt")
    if mallopt is None:
        return False
    return bool(mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)) and bool(mallopt(_M_MMAP_THRESHOLD, LARGEST_BYTES))


def keep_little() -> bool:
    """Let this process keep little of what it freed, from now on: for a server, whose threads come and go.

    Each of up to eight threads for each core gets a heap of its own, and from the largest picture on glibc lets every
    one of them keep twice its size at the end, where `give_back` does not reach. With fixed thresholds what is larger
    than any of HAM10000's pictures never lies in a heap, and no heap keeps more than a few of those.

    Returns:
        Whether the C library took it; another than glibc is left as it is.
    """
    mallopt = _of_glibc("mallopt")
    if mallopt is None:
        return False
    options = ((_M_ARENA_MAX, HEAPS), (_M_MMAP_THRESHOLD, LARGE_BYTES), (_M_TRIM_THRESHOLD, LEFT_BYTES))
    return all(bool(mallopt(option, value)) for option, value in options)


def give_back() -> bool:
    """Hand what was freed in the middle of any heap back to the system, which glibc by itself never does.

    Returns:
        Whether there was something to hand back; another C library than glibc is left as it is.
    """
    trim = _of_glibc("malloc_trim")
    return trim is not None and bool(trim(ctypes.c_size_t(0)))


def _of_glibc(name: str) -> Callable[..., int] | None:
    """A function of the C library; None where that has none of this name."""
    return getattr(ctypes.CDLL(None), name, None) if hasattr(ctypes, "RTLD_GLOBAL") else None
