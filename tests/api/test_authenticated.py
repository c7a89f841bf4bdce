def test_good_credentials(wire):
    answer = wire.get("/authenticated")
    assert (answer.status, answer.result) == (200, {})


def test_keep_alive_after_no_content(wire):
    mailbox = wire.post("/voip/mailbox", {"name": "Sales"}).result
    answer = wire.delete(f"/voip/mailbox/{mailbox['uuid']}")
    assert (answer.status, answer.body) == (204, b"")
    assert wire.get("/voip/mailbox").result == []
