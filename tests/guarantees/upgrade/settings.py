"""The service's settings, with the next version's migrations behind its own."""

from config.settings import *  # noqa: F403

MIGRATION_MODULES = {"mailboxes": "tests.guarantees.upgrade.migrations"}
