#!/usr/bin/env python
"""Django's command line for this project."""

import os
import signal
import sys


def main():
    os.umask(0o077)  # created files hold secrets: only their owner may read them
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line

    if "--traceback" not in sys.argv:
        sys.excepthook = print_error
    execute_from_command_line(sys.argv)


def print_error(kind, error, traceback):
    """Print a line without a traceback for errors that the command's user can correct."""
    from django.core.exceptions import ImproperlyConfigured
    from django.db import InterfaceError, OperationalError

    if isinstance(error, ImproperlyConfigured):
        message = error
    elif isinstance(error, PermissionError):
        message = f"No permission to use {error.filename}: run this as the user who owns it."
    elif isinstance(error, (InterfaceError, OperationalError)):
        from mailboxes.db.connections import describe_failure

        message = describe_failure(error)
    else:
        return sys.__excepthook__(kind, error, traceback)
    return sys.stderr.write(f"{message}\n")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)  # the exit status of a shell after Ctrl-C
