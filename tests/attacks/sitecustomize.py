"""Watches a Python process from its first moment on: whom it tries to reach, and what it reads and writes.

Python imports it by its name from a folder on PYTHONPATH. Where it writes to is `DERMDISTILL_WATCH`, a line of JSON
for each event. Whoever is not on this machine is not reached: the attempt fails as it does without a network.
"""

import ipaddress
import json
import os
import sys

_LOG = os.open(os.environ["DERMDISTILL_WATCH"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_ASKS = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
_REACHES = ("socket.connect", "socket.sendto", "socket.sendmsg")


def _note(**event: object) -> None:
    os.write(_LOG, (json.dumps(event) + "\n").encode())


def _is_here(host: object) -> bool:
    if host is None or host in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host).is_loopback
    except ValueError:
        return False


def _watch(event: str, args: tuple) -> None:
    host = None
    if event in _ASKS:
        host = args[0]
    elif event in _REACHES and isinstance(args[1], tuple):
        host = args[1][0]
    elif event == "open" and isinstance(args[0], (str, bytes)):
        path, _, flags = args
        path = os.fsdecode(path)
        if isinstance(flags, int) and flags & _WRITES:
            _note(event="write", path=path)
        elif path.endswith(".tflite"):
            _note(event="read", path=path)
    if not _is_here(host):
        _note(event="network", path=f"{event} {host!r}")
        raise OSError(101, "Network is unreachable")


sys.addaudithook(_watch)
