from cluster.stop import Stop


def test_nobody_asked():
    assert (Stop().reason, Stop().code) == ("", 0)


def test_the_first_reason_holds_with_its_own_code():
    stop = Stop()
    stop.now("the target was reached", 0)
    stop.now("interrupted", 130)
    assert (stop.reason, stop.code) == ("the target was reached", 0)
