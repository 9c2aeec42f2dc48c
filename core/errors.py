"""Errors that are the user's to mend; the command line prints them in one line, without a traceback."""

from __future__ import annotations


class UserError(Exception):
    """What was expected and what came, in one sentence, and where it helps what to do next."""

    exit_status = 2
