"""Tasks have no pages in the admin."""

from tests.delivery.tasks import note


def test_arguments_of_tasks_are_not_shown_to_superusers(staff):
    result = note.enqueue("/tmp/x", "secret")
    page = "/admin/django_tasks_database/dbtaskresult/"
    assert staff.get(page).status_code == 404
    assert staff.get(f"{page}{result.id}/change/").status_code == 404
