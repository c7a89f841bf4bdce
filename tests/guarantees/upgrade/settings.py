"""The service's settings with the migrations of a possible next version."""

from config.settings import *  # noqa: F403

MIGRATION_MODULES = {"mailboxes": "tests.guarantees.upgrade.migrations"}
