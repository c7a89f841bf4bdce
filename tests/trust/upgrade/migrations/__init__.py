"""The service's own migrations, and behind them those that a next version might bring."""

from pkgutil import iter_modules

from mailboxes import migrations

LATEST = max(module.name for module in iter_modules(migrations.__path__))

__path__ = [*migrations.__path__, *__path__]
