"""Health checks: /healthz for the process, /readyz for its database."""

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpResponse


class HealthChecks:
    """Middleware that answers health probes, whatever their Host header, without a log line."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        match request.path_info:
            case "/healthz":
                return self.respond(request, None)
            case "/readyz":
                return self.respond(request, find_failure())
        return self.get_response(request)

    @staticmethod
    def respond(request, failure):
        if request.method not in ("GET", "HEAD"):
            return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
        return HttpResponse(
            f"{failure or 'ok'}\n",
            content_type="text/plain",
            status=503 if failure else 200,
            headers={"Cache-Control": "no-store"},
        )


def find_failure() -> str | None:
    """Return why requests cannot be served now, or None."""
    try:
        executor = MigrationExecutor(connection)
        unapplied = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return "the database does not answer"
    return "migrations are missing" if unapplied else None
