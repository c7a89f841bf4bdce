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

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        # A wrong setting is the reader's to mend: its sentence, not our stack.
        sys.exit(str(error))
    except (PermissionError, InterfaceError, OperationalError) as error:
        # So are a file of somebody else's, and a database that is away.
        if "--traceback" in sys.argv:
            raise
        sys.exit(in_words(error))


def in_words(error):
    if isinstance(error, PermissionError):
        return f"{error.filename} is not yours to use: run this as the user who owns it."
    from config import database

    return database.in_words(error)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)  # as a shell says it; whoever pressed Ctrl-C knows why
