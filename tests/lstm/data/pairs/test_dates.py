import datetime
import itertools

import pytest

from lstm.config.translate import PairSizes, TranslateData
from lstm.data.pairs import dates
from lstm.data.translate import load
from lstm.records.errors import BadInput

SIZES = PairSizes(train=300, validation=50, test=60)


def test_no_text_is_in_two_parts_and_each_target_is_a_date():
    made = dates.generate(SIZES, 1)
    texts = [text for part in made.parts.values() for text in part.sources]
    assert len(set(texts)) == len(texts) == 410
    assert [len(part) for part in made.parts.values()] == [300, 50, 60]
    for part in made.parts.values():
        assert all(1950 <= datetime.date.fromisoformat(each).year < 2050 for each in part.targets)


def test_one_seed_is_one_set_of_pairs():
    one, same, other = (dates.generate(SIZES, seed) for seed in (1, 1, 2))
    assert one == same
    assert one.fingerprint != other.fingerprint


def test_every_way_writes_dates_in_texts_of_their_own():
    days = [dates.FIRST + datetime.timedelta(days=n) for n in range(0, dates.DAYS, 7)]
    texts = [way(day) for way, day in itertools.product(dates.WAYS, days)]
    assert len(set(texts)) == len(texts)
    assert dates.WAYS[3](datetime.date(1999, 3, 22)) == "the 22nd of March 1999"
    assert dates.WAYS[12](datetime.date(1999, 3, 22)) == "22.03.99"
    days = (1, 2, 3, 11, 12, 13, 21, 30)
    assert " ".join(map(dates._th, days)) == "1st 2nd 3rd 11th 12th 13th 21st 30th"


def test_more_dates_than_there_are_are_refused():
    sizes = {"train": 800_000, "validation": 1, "test": 1}
    with pytest.raises(BadInput, match="730,500"):
        load(TranslateData(generate="dates", sizes=sizes, units="characters"), None)
