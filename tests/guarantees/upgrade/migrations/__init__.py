"""The service's migrations, followed by those of a possible next version."""

from pkgutil import iter_modules

from mailboxes import migrations

names = [module.name for module in iter_modules(migrations.__path__)]
LATEST = max(name for name in names if not name.startswith("_"))  # Django ignores these names too

__path__ = [*migrations.__path__, *__path__]
