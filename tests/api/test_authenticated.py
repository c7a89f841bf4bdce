def test_good_credentials(wire):
    answer = wire.get("/authenticated")
    assert (answer.status, answer.result) == (200, {})
