def test_the_reach_is_the_largest_lookback_of_any_trial(spec, right):
    wide = right.space + "    data.lookback: {type: int, low: 10, high: 300}\n"
    chosen = right.space + "    data.lookback: {type: categorical, choices: [10, 208]}\n"
    short = right.space + "    data.lookback: {type: int, low: 10, high: 20}\n"
    assert [spec(right.space, space).experiment.reach for space in (wide, chosen, short)] == [300, 208, 104]
