"""Sign in and out."""

import pytest
from django.contrib.auth.models import User

CREDENTIALS = {"username": "rosa", "password": "correct horse"}


@pytest.fixture
def rosa(db):
    return User.objects.create_superuser(**CREDENTIALS)


def test_sign_in_redirects_to_the_requested_page(client, rosa):
    response = client.get("/?q=sales")
    assert response.headers["Location"] == "/sign-in/?next=/%3Fq%3Dsales"
    page = client.get(response.headers["Location"]).content.decode()
    assert '<input type="hidden" name="next" value="/?q=sales">' in page
    response = client.post("/sign-in/", CREDENTIALS | {"next": "/?q=sales"})
    assert response.headers["Location"] == "/?q=sales"


def test_wrong_password_is_refused(client, rosa):
    response = client.post("/sign-in/", CREDENTIALS | {"password": "wrong"})
    assert response.status_code == 200
    assert 'role="alert">Please enter a correct username and password.' in response.content.decode()
    assert client.get("/").status_code == 302


def test_empty_form_is_explained(client, db):
    assert "Fill in both fields." in client.post("/sign-in/", {}).content.decode()


def test_sign_out_ends_the_session(client, rosa):
    client.force_login(rosa)
    assert client.post("/sign-out/").headers["Location"] == "/sign-in/"
    assert client.get("/").status_code == 302


def test_get_request_does_not_sign_out(client, rosa):
    client.force_login(rosa)
    assert client.get("/sign-out/").status_code == 405
    assert client.get("/").status_code == 200


def test_session_cookie_lasts_twelve_hours_and_is_http_only(client, rosa):
    cookie = client.post("/sign-in/", CREDENTIALS).cookies["sessionid"]
    assert cookie["max-age"] == 12 * 3600
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")


def test_user_without_admin_access_is_asked_for_another_login(client, rosa):
    User.objects.update(is_staff=False, is_superuser=False)
    client.force_login(User.objects.get())
    page = client.get("/admin/", follow=True)
    assert page.context["next"] == "/admin/"
    assert (
        "The login “rosa” is not allowed to see that page. Sign in with another one." in page.text
    )


def test_sign_in_leads_back_to_the_page_of_a_form_sent_without_a_session(client, sales):
    User.objects.create_superuser(**CREDENTIALS)
    page = f"http://testserver/mailboxes/{sales.pk}/"
    response = client.post(f"{page}delete/", headers={"Referer": page}, follow=True)
    response = client.post("/sign-in/", CREDENTIALS | {"next": response.context["next"]})
    assert response.url == page


def test_form_of_another_host_leads_to_the_start_page(client, sales):
    User.objects.create_superuser(**CREDENTIALS)
    headers = {"Referer": "https://evil.example/"}
    response = client.post(f"/mailboxes/{sales.pk}/delete/", headers=headers, follow=True)
    response = client.post("/sign-in/", CREDENTIALS | {"next": response.context["next"]})
    assert response.url == "/"
