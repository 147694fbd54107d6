"""Names of months in English and other languages, and quarters in Roman numbers, as a format of times reads them.

Only languages of which no two give one name to different months are here. So Czech and Croatian are not: srp is August
in one of them and July in the other.
"""

import re
import unicodedata
from collections.abc import Mapping

import pandas as pd

ENGLISH = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# English, German, French, Spanish, Portuguese, Italian, Dutch, Danish, Norwegian, Swedish, Polish, Turkish; no accents.
NAMES: Mapping[int, str] = {
    1: "jan january januar januari janner janv janvier ene enero janeiro gen gennaio sty styczen stycznia oca ocak",
    2: "feb february februar februari febr fev fevr fevrier febrero fevereiro febbraio lut luty lutego sub subat",
    3: "mar march marz maerz mrz mars marzo marco mrt maart marts marzec marca mart",
    4: "apr april avr avril abr abril aprile kwi kwiecien kwietnia nis nisan",
    5: "may mai mayo maio mag maggio mei maj maja mayis",
    6: "jun june juni juin junio junho giu giugno cze czerwiec czerwca haz haziran",
    7: "jul july juli juil juillet julio julho lug luglio lip lipiec lipca tem temmuz",
    8: "aug august aout ago agosto augustus augusti sie sierpien sierpnia agu agustos",
    9: "sep sept september septembre septiembre set setiembre setembro settembre wrz wrzesien wrzesnia eyl eylul",
    10: "oct october okt oktober octobre octubre out outubro ott ottobre paz pazdziernik pazdziernika eki ekim",
    11: "nov november novembre noviembre novembro lis listopad listopada kas kasim",
    12: "dec december dez dezember decembre dic diciembre dezembro dicembre des desember gru grudzien grudnia ara"
    " aralik",
}
NUMBERS = {word: month for month, words in NAMES.items() for word in words.split()}
WORD = rf"(?:{'|'.join(sorted(NUMBERS, key=len, reverse=True))})(?![^\W\d_])\.?"
ROMAN = {"I": "1", "II": "2", "III": "3", "IV": "4"}
WHOLE = {pd.Timestamp(2000, month, 1).strftime("%B").lower() for month in range(1, 13)}


def plain(text: str) -> str:
    """Return a text without accents: mars, aout, Sub."""
    if text.isascii():
        return text
    parts = unicodedata.normalize("NFD", text.replace("\u0131", "i"))  # the Turkish i without a dot
    return unicodedata.normalize("NFC", "".join(each for each in parts if not unicodedata.combining(each)))


def number_of(word: str) -> int | None:
    """Return the number of a month, 1 to 12, by its name; None if the word is no name of a month."""
    return NUMBERS.get(plain(word).strip(". ").lower())


def is_english(word: str) -> bool:
    """Return whether a month's name is one that pandas reads: Jan or January."""
    return word.strip(".").lower() in (*ENGLISH, *WHOLE)


def has_others(texts: pd.Series) -> bool:
    """Return whether one of the first texts has a month's name that pandas does not read."""
    named = (re.search(rf"(?<![^\W\d_]){WORD}", plain(str(each)), re.IGNORECASE) for each in texts.iloc[:1000])
    return any(found and not is_english(found[0]) for found in named)


def in_english(texts: pd.Series) -> pd.Series:
    """Return texts with each month's name as its English one of three letters, without a point after it."""
    found: pd.Series = texts.map(plain).str.replace(
        rf"(?<![^\W\d_]){WORD}",
        lambda name: ENGLISH[NUMBERS[name[0].rstrip(".").lower()] - 1].title(),
        regex=True,
        flags=re.IGNORECASE,
    )
    return found
