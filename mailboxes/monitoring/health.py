"""Whether the process is alive, and whether it can serve."""

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpResponse


class HealthChecks:
    """Answers /healthz and /readyz: who probes may name the machine by any host, and is not logged."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        match request.path_info:
            case "/healthz":
                return self.answer(request, None)
            case "/readyz":
                return self.answer(request, what_is_missing())
        return self.get_response(request)

    @staticmethod
    def answer(request, missing):
        if request.method not in ("GET", "HEAD"):
            return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
        return HttpResponse(
            f"{missing or 'ok'}\n",
            content_type="text/plain",
            status=503 if missing else 200,
            headers={"Cache-Control": "no-store"},
        )


def what_is_missing() -> str | None:
    """Why requests could not be served now, if they could not."""
    try:
        executor = MigrationExecutor(connection)
        unapplied = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return "the database does not answer"
    return "migrations are missing" if unapplied else None
