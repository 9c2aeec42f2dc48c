"""The command line: `python -m core --help`."""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import select
import sys

from core import commands
from core.errors import UserError
from core.files import explain
from core.memory import keep_freed_memory
from core.settings import SETTINGS

UNREAD = 141
"""Exit status when nobody reads the output any more, as after `| head`: that of a process ended by SIGPIPE."""


def build_parser() -> argparse.ArgumentParser:
    """The parser with every command of `core/commands`."""
    variables = "\n".join(f"  {s.variable:<24}{s.help} (default: {s.default})" for s in SETTINGS)
    parser = argparse.ArgumentParser(
        prog="python -m core",
        description="DermDistill: skin-lesion classification by knowledge distillation.",
        epilog=f"environment variables:\n{variables}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in pkgutil.iter_modules(commands.__path__):
        importlib.import_module(f"core.commands.{module.name}").register(subparsers)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 2 misused, others as the command says."""
    try:
        options = build_parser().parse_args(arguments)
        status = int(options.run(options) or 0)
        sys.stdout.flush()  # a closed pipe shows here, not in the interpreter's last moments
        return status
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except OSError as error:
        if isinstance(error, BrokenPipeError) and not _is_read():
            return UNREAD
        said = explain(error)
        if said is None:
            raise
        print(f"error: {said}", file=sys.stderr)
        return UserError.exit_status
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


def _is_read() -> bool:
    """Whether somebody still reads what is printed; if not, what is left goes nowhere, without an error."""
    try:
        output = sys.stdout.fileno()
    except OSError:  # not a file, as where tests look on
        return True
    poll = select.poll()
    poll.register(output, 0)  # of errors it tells in any case
    if not poll.poll(0):
        return True
    os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return False


if __name__ == "__main__":
    # Not where time and memory are measured as others have them.
    if sys.argv[1:2] != ["benchmark"]:
        keep_freed_memory()
    sys.exit(main())
