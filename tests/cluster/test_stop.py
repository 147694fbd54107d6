from cluster.stop import Stop


def test_nobody_asked():
    assert (Stop().reason, Stop().code) == ("", 0)


def test_the_first_reason_holds_with_its_own_code():
    stop = Stop()
    stop.now("the target was reached", 0)
    stop.now("interrupted", 130)
    assert (stop.reason, stop.code) == ("the target was reached", 0)


def test_a_failure_outweighs_a_good_end():
    stop = Stop()
    stop.now("the target was reached", 0)
    stop.now("another driver has taken the sweep", 1)
    stop.now("interrupted", 130)
    assert (stop.reason, stop.code) == ("another driver has taken the sweep", 1)
