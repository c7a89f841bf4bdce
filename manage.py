#!/usr/bin/env python
"""Django's command line for this project."""

import os
import signal
import sys


def main():
    os.umask(0o077)  # what is written is its owner's alone to read, wherever it stands
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import InterfaceError, OperationalError

    # A wrong setting, a file of somebody else's, a database that is away.
    if "--traceback" not in sys.argv:
        tell_in_a_line(ImproperlyConfigured, PermissionError, InterfaceError, OperationalError)
    execute_from_command_line(sys.argv)


def tell_in_a_line(*mendable):
    """Of errors that are the reader's to mend, print a sentence, not our stack; they are reported as ever."""
    sys.excepthook = lambda kind, error, stack: (
        sys.stderr.write(f"{in_words(error)}\n")
        if issubclass(kind, mendable)
        else sys.__excepthook__(kind, error, stack)
    )


def in_words(error):
    from django.core.exceptions import ImproperlyConfigured

    if isinstance(error, ImproperlyConfigured):
        return error
    if isinstance(error, PermissionError):
        return f"{error.filename} is not yours to use: run this as the user who owns it."
    from mailboxes.db import connections

    return connections.describe_failure(error)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)  # as a shell says it; whoever pressed Ctrl-C knows why
