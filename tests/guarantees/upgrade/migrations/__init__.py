"""The service's own migrations, and behind them those that a next version might bring."""

from pkgutil import iter_modules

from mailboxes import migrations

names = [module.name for module in iter_modules(migrations.__path__)]
LATEST = max(name for name in names if not name.startswith("_"))  # as Django takes them

__path__ = [*migrations.__path__, *__path__]
