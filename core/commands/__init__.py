"""The commands of `python -m core`: one module each, with `register(subparsers)`.

A module imports only the standard library and `core.settings` at its top, so that `--help` and the light
commands start at once; what a command needs is imported inside the function that runs it.
"""
