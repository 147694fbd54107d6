"""Generated pairs: dates of 1950 to 2049, written in many ways, and the same date in ISO 8601."""

import hashlib
from collections.abc import Callable
from datetime import date, timedelta

import numpy as np

from lstm.config.translate import PairSizes
from lstm.data.dataset import Part
from lstm.data.pairs.pairs import Lines, PairParts, Pairs

FIRST, DAYS = date(1950, 1, 1), 36_525
MONTHS = {
    "en": [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
    "de": [
        "Januar",
        "Februar",
        "März",
        "April",
        "Mai",
        "Juni",
        "Juli",
        "August",
        "September",
        "Oktober",
        "November",
        "Dezember",
    ],
    "fr": [
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ],
    "es": [
        "enero",
        "febrero",
        "marzo",
        "abril",
        "mayo",
        "junio",
        "julio",
        "agosto",
        "septiembre",
        "octubre",
        "noviembre",
        "diciembre",
    ],
}
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


def _th(day: int) -> str:
    return f"{day}{'th' if 10 < day < 14 else {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10, 'th')}"


def _month(day: date, language: str = "en") -> str:
    return MONTHS[language][day.month - 1]


# A date with slashes has the month first, with points or hyphens the day. Two digits of a year are 1950 to 2049.
WAYS: tuple[Callable[[date], str], ...] = (
    lambda d: f"{d.day} {_month(d)} {d.year}",
    lambda d: f"{_month(d)} {d.day}, {d.year}",
    lambda d: f"{_month(d)} {_th(d.day)}, {d.year}",
    lambda d: f"the {_th(d.day)} of {_month(d)} {d.year}",
    lambda d: f"{WEEKDAYS[d.weekday()]}, {d.day} {_month(d)} {d.year}",
    lambda d: f"{WEEKDAYS[d.weekday()][:3]} {_month(d)[:3]} {d.day} {d.year}",
    lambda d: f"{d.day}-{_month(d)[:3]}-{d.year % 100:02}",
    lambda d: f"{_month(d)[:3]} {d.day} '{d.year % 100:02}",
    lambda d: f"{_month(d)[:3].upper()} {d.day:02} {d.year}",
    lambda d: f"{d.month}/{d.day}/{d.year}",
    lambda d: f"{d.month:02}/{d.day:02}/{d.year % 100:02}",
    lambda d: f"{d.day}.{d.month}.{d.year}",
    lambda d: f"{d.day:02}.{d.month:02}.{d.year % 100:02}",
    lambda d: f"{d.day:02}-{d.month:02}-{d.year}",
    lambda d: f"{d.year}/{d.month:02}/{d.day:02}",
    lambda d: f"{d.year}{d.month:02}{d.day:02}",
    lambda d: f"{d.day}. {_month(d, 'de')} {d.year}",
    lambda d: f"am {d.day}. {_month(d, 'de')[:3]}. {d.year}",
    lambda d: f"{d.day} {_month(d, 'fr')} {d.year}",
    lambda d: f"{d.day} de {_month(d, 'es')} de {d.year}",
)


def generate(sizes: PairSizes, seed: int) -> PairParts:
    """Return different pairs for each part: no text of one part is in another.

    The order of all texts is drawn from the seed, and the parts are cut from it, the training part first.

    Raises:
        ValueError: there are fewer texts than pairs.
    """
    wanted: dict[Part, int] = {"train": sizes.train, "validation": sizes.validation, "test": sizes.test}
    if (total := sum(wanted.values())) > most():
        raise ValueError(f"{total} pairs of {most()} different dates")
    drawn = np.random.default_rng(seed).permutation(DAYS * len(WAYS))[:total]
    written = [
        (day := FIRST + timedelta(days=int(each) // len(WAYS)), WAYS[int(each) % len(WAYS)](day)) for each in drawn
    ]
    parts, start = dict[Part, Pairs](), 0
    for part, count in wanted.items():
        own = written[start : start + count]
        parts[part] = Pairs(Lines(text for _, text in own), Lines(day.isoformat() for day, _ in own))
        start += count
    digest = hashlib.sha256(repr((seed, [*wanted.items()], written)).encode())
    return PairParts(parts, digest.hexdigest())


def most() -> int:
    """Return how many different texts there are."""
    return DAYS * len(WAYS)
