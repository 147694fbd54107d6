"""Numbers as people write them: 1,002.64, 1,5, 1.75 %, True; and the words that mean a missing value."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lstm.data.tables.content import PLAIN, Form

# Words for a missing value anywhere in a table, as always.
NULLS = ["", "NA", "N/A", "NaN", "nan", "NULL", "null", "None", "-", "?"]
# Words for a missing number, or time, that pandas, R, Excel and SQL write.
MORE_NULLS = ["#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "1.#IND", "1.#QNAN", "-NaN", "-nan", "<NA>", "n/a"]
MORE_NULLS += ["Null", "none", "NAN", "N.A.", "n.a.", "na", "Na", "#NULL!", "#VALUE!", "#REF!", "#NAME?", "#NUM!"]
MORE_NULLS += ["#DIV/0!", "(null)", "\\N", ".", "..", "...", "--", "---", "NaT", "nil", "NIL", "missing", "Missing"]
# Two words that alone fill a column are flags.
FLAGS: Sequence[dict[str, str]] = [
    {"true": "1", "false": "0"},
    {"yes": "1", "no": "0"},
    {"y": "1", "n": "0"},
    {"on": "1", "off": "0"},
    {"t": "1", "f": "0"},
]
SHOWN = 3  # words that are named


@dataclass(frozen=True, slots=True)
class Parsed:
    """A column of texts as numbers."""

    values: np.ndarray  # (row,) float64, NaN for a missing value
    wrong: np.ndarray  # (occurrence,) the rows whose text is neither a number nor a word for a missing value


def nulls(form: Form) -> list[str]:
    """Return the words that mean a missing number."""
    return [*NULLS, *MORE_NULLS, *form.missing]


def parse(column: pa.ChunkedArray, form: Form = PLAIN) -> Parsed:
    """Read texts as numbers. A number with a percent sign is the number before the sign; true is 1, false is 0."""
    texts = _plain(column, form)
    known = pc.is_valid(texts).to_numpy(zero_copy_only=False)
    fits = pc.fill_null(pc.match_substring_regex(texts, NUMBER), True).to_numpy(zero_copy_only=False)
    wrong = np.flatnonzero(~fits)
    if len(wrong):
        texts = pc.if_else(pa.array(fits), texts, pa.scalar(None, pa.string()))
    values = np.full(len(texts), np.nan)
    found = pc.cast(texts, pa.float64())
    rows = known & fits
    values[rows] = found.to_numpy(zero_copy_only=False)[rows]
    return Parsed(values, wrong)


NUMBER = r"^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$|^[-+]?(?:inf|infinity|Inf|Infinity|INF)$"


def _plain(column: pa.ChunkedArray, form: Form) -> pa.Array:
    """Return texts as plain numbers are written, null for a missing value."""
    texts = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    texts = pc.utf8_trim_whitespace(texts.cast(pa.string()))
    texts = pc.if_else(pc.is_in(texts, pa.array(nulls(form))), pa.scalar(None, pa.string()), texts)
    if words := _flags(texts):  # true among numbers is a fault
        lower = pc.utf8_lower(texts)
        for word, digit in words.items():
            texts = pc.if_else(pc.equal(lower, word), pa.scalar(digit), texts)
    texts = _without_signs(texts)
    if form.decimal != "." and _has_points(texts, form.decimal):
        form = replace(form, decimal=".", thousands=None)
    signs = [form.thousands] if form.thousands else []
    if " " in signs:
        signs += ["\u00a0", "\u202f"]  # blanks that don't break, as some programs write them between groups
    if "'" in signs:
        signs += ["\u2019"]
    mark = re_escaped(form.decimal)
    for sign in signs:
        group = rf"[1-9]\d{{0,2}}(?:{re_escaped(sign)}\d{{3}})+"
        if sign == ",":  # 1,00,000, as in India
            group = rf"(?:{group}|[1-9]\d?(?:,\d\d)+,\d{{3}})"
        group = rf"^[-+]?{group}(?:{mark}\d*)?\s*%?$"
        grouped = pc.fill_null(pc.match_substring_regex(texts, group), False)
        texts = pc.if_else(grouped, pc.replace_substring(texts, sign, ""), texts)
    if form.decimal != ".":
        # A number with a point, too, is not one: the point may have been meant for a thousand.
        points = pc.fill_null(pc.match_substring(texts, "."), False)
        turned = pc.replace_substring(texts, form.decimal, ".")
        texts = pc.if_else(points, pc.binary_join_element_wise(texts, "?", ""), turned)
    percent = pc.fill_null(pc.match_substring_regex(texts, r"^[-+]?[\d.]+\s*%$"), False)
    if pc.any(percent).as_py() and pc.all(pc.or_(percent, pc.is_null(texts))).as_py():
        texts = pc.replace_substring_regex(texts, r"\s*%$", "")
    return texts


def _flags(texts: pa.Array) -> dict[str, str] | None:
    """Return the two words of which all texts are one, with their digits; None if there are others."""
    first = str(pc.first(texts).as_py()).lower()
    words = next((each for each in FLAGS if first in each), None)
    if words is None:
        return None
    known = pc.is_in(pc.utf8_lower(texts), pa.array([*words]))
    return words if pc.all(pc.or_(known, pc.is_null(texts))).as_py() else None


def are_flags(column: pa.ChunkedArray) -> bool:
    """Return whether a column of texts has flags, such as yes and no."""
    texts = pc.utf8_trim_whitespace(column.combine_chunks().cast(pa.string()))
    return bool(_flags(pc.if_else(pc.is_in(texts, pa.array(nulls(PLAIN))), pa.scalar(None, pa.string()), texts)))


def _has_points(texts: pa.Array, decimal: str) -> bool:
    """Return whether all numbers of a column have points for decimals, beside columns with a comma for them.

    A point between groups of three digits alone may be one for thousands.
    """
    if pc.any(pc.match_substring(texts, decimal)).as_py():
        return False
    points = pc.match_substring(texts, ".")
    grouped = pc.match_substring_regex(texts, r"^[-+]?\d{1,3}(?:\.\d{3})+$")
    return bool(pc.any(pc.and_not(points, grouped)).as_py())


CURRENCY = "(?:[$€£¥₹]|EUR|USD|GBP|CHF)"
BLANK = r"[\s\x{a0}\x{202f}]*"
DIGITS = r"[\d.,'\x{2019} \x{a0}\x{202f}]*\d"
MONEY = "^(?:[-+]?{blank}{sign}{blank}[-+]?{digits}|[-+]?{digits}{blank}{sign})$"
# A unit after a number, as in 5.3 kW, 12°C or 5.3kWh; a factor such as M for millions is none, and 12AB may be a code.
JOINED = (
    "[kMGT]?Wh?|[kM]?(?:var|VA)h?|[kcmµ]m|k?m/h|mph|kn|[km]?g|[hk]?Pa|m?bar|pp[mb]|[kM]?Hz|rpm|m[lL]|l/s|m/s|mm/h|lx"
)
JOINED += "|dB|[mk][VA]|m[²³]|W/m²|[µm]g/m³"
UNIT = re.compile(
    r"[-+]?\d(?:[\d.,'\u2019]|[ \u00a0\u202f](?=\d))*"
    rf"(\s?°[CFK]?|[ \u00a0\u202f][A-Za-zµ°][\w/³²·%]{{0,8}}|(?:{JOINED}))"
)
NO_UNITS = {
    "K",
    "k",
    "M",
    "m",
    "B",
    "b",
    "T",
    "G",
    "Mio",
    "Mrd",
    "bn",
    "Uhr",
    "UTC",
    "GMT",
    "AM",
    "PM",
    "am",
    "pm",
    "USD",
    "EUR",
    "GBP",
    "CHF",
}
MINUS, DASH = "\u2212", "\u2013"  # the sign of typography, and what is written for it
LOSS = r"^\((.*\d.*)\)$"
LATE_MINUS = r"^(\d(?:[\d.,' ]*\d)?)\s*-$"  # as SAP writes it


def _without_signs(texts: pa.Array) -> pa.Array:
    """Return texts without a sign of money that all have, and with losses in brackets as negative numbers."""
    if pc.any(pc.match_substring(texts, MINUS)).as_py():
        texts = pc.replace_substring(texts, MINUS, "-")
    if pc.any(pc.starts_with(texts, DASH)).as_py():
        texts = pc.replace_substring_regex(texts, rf"^{DASH}(\d)", r"-\1")
    if pc.any(pc.starts_with(texts, "(")).as_py():
        texts = pc.replace_substring_regex(texts, LOSS, r"-\1")
    if pc.any(pc.ends_with(texts, "-")).as_py():
        texts = pc.replace_substring_regex(texts, LATE_MINUS, r"-\1")
    first = str(pc.first(texts).as_py())
    if (
        (unit := UNIT.fullmatch(first))
        and unit[1].strip() not in NO_UNITS
        and pc.all(pc.ends_with(texts, unit[1])).as_py()
    ):
        texts = pc.utf8_slice_codeunits(texts, 0, -len(unit[1]))
    if money := re.search(CURRENCY, first):  # the same one in all cells
        sign = re.escape(money[0])
        if pc.all(pc.match_substring_regex(texts, MONEY.format(blank=BLANK, sign=sign, digits=DIGITS))).as_py():
            texts = pc.replace_substring_regex(texts, f"{BLANK}{sign}{BLANK}", "")
    return texts


def re_escaped(sign: str) -> str:
    """Return a sign as it is written in a regular expression of RE2."""
    return f"\\{sign}" if sign in ".'" else sign


TRIED: Sequence[dict[str, str]] = (
    {"decimal": ","},
    {"thousands": ","},
    {"decimal": ",", "thousands": "."},
    {"thousands": " "},
    {"decimal": ",", "thousands": "'"},
)


def line_for(text: str, form: Form) -> str | None:
    """Return what a spec must say so that a text is a number: data.decimal: ','; None if nothing makes it one."""
    column = pa.chunked_array([[text]])
    for signs in TRIED:
        given: dict[str, Any] = dict(signs)
        if not len(parse(column, replace(form, **given)).wrong):
            return ", ".join(f"data.{name}: '{sign}'" for name, sign in signs.items())
    return None


def signed(column: pa.ChunkedArray) -> str:
    """Return the first of some texts that has a sign of money, or brackets around a loss; "" if none has."""
    texts = [str(each).strip() for each in column.slice(0, 50_000).drop_null().to_pylist()]
    able = re.compile(rf"{CURRENCY}|^\(.*\d.*\)$|{LATE_MINUS}|^{UNIT.pattern}$")
    return next((text for text in texts if able.search(text) and re.search(r"\d", text)), "")


def has_percents(column: pa.ChunkedArray) -> bool:
    """Return whether the first texts have percent signs."""
    return any(str(each).rstrip().endswith("%") for each in column.slice(0, 50).drop_null().to_pylist())


@dataclass(frozen=True, slots=True)
class Written:
    """How the numbers of a column are written."""

    decimal: str = "."
    thousands: str | None = None
    words: tuple[str, ...] = ()  # words among the numbers that mean a missing value
    doubtful: str = ""  # a number that can be read with a comma for decimals and for thousands
    wrong: int = -1  # the first row whose text is no number, if almost all others are numbers


FEW = 0.2  # of the cells: more words than these make a column of words
MOST_WRONG, FEW_WRONG = 5, 0.02  # texts that may be neither, and their share in a long column
CODE = r"^\s*[-+]?0\d+[.,' ]"  # +0412,1 is a value and its quality, no number with a decimal comma
MOST_WORDS = 3  # different words in a column of numbers
GROUPS = {",": r"^[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?%?$", ".": r"^[-+]?[1-9]\d{0,2}(\.\d{3})+(,\d+)?%?$"}
GROUPS |= {" ": "^[-+]?[1-9]\\d{0,2}([ \u00a0\u202f]\\d{3})+([.,]\\d+)?$", "'": r"^[-+]?[1-9]\d{0,2}('\d{3})+(\.\d+)?$"}


def written(column: pa.ChunkedArray, form: Form) -> Written | None:
    """Return how the numbers of a column of texts are written; None if the column has no numbers."""
    some = column.slice(0, 200_000).drop_null()
    if not len(some):
        return None
    ways = [Written(form.decimal, form.thousands)]
    if form.decimal == "." and form.thousands is None:
        ways += [Written(".", ","), Written(".", " "), Written(".", "'"), Written(",", None), Written(",", ".")]
        ways += [Written(",", " "), Written(",", "'")]
    shares = [(_share(some, each), -place, each) for place, each in enumerate(ways)]
    share, _, best = max(shares, key=lambda each: each[:2])
    if share < 1 - FEW:
        return None
    if best in ways[1:] and pc.any(pc.match_substring_regex(some, CODE)).as_py():
        return None
    parsed = parse(column, as_form(best, form))
    texts = column.take(pa.array(parsed.wrong)).to_pylist()
    words = sorted({str(text).strip() for text in texts}, key=texts.count, reverse=True)
    good = sum(1 for word in words if not any(c.isdigit() for c in word) and len(word) <= 12)
    if words and (good < len(words) or len(words) > MOST_WORDS):
        bad = next(row for row, text in zip(parsed.wrong, texts, strict=True) if not _is_word(str(text)))
        return (
            Written(best.decimal, best.thousands, (), "", int(bad))
            if len(texts) <= max(5, 0.02 * len(column))
            else None
        )
    doubtful = _doubtful(some, best) if best in ways[1:] else ""
    return Written(best.decimal, best.thousands, tuple(words), doubtful)


def as_form(how: Written, form: Form) -> Form:
    """Return a form with the numbers written in another way."""
    return replace(form, decimal=how.decimal, thousands=how.thousands, missing=(*form.missing, *how.words))


def _is_word(text: str) -> bool:
    return not any(c.isdigit() for c in text) and len(text.strip()) <= 12


def _share(texts: pa.ChunkedArray, how: Written) -> float:
    """Return the share of texts that are numbers or missing in a way of writing; 0 if none is a number."""
    parsed = parse(texts, Form(decimal=how.decimal, thousands=how.thousands))
    if np.isnan(parsed.values).all():
        return 0.0
    return 1 - len(parsed.wrong) / len(texts)


def _doubtful(texts: pa.ChunkedArray, how: Written) -> str:
    """Return a number that can be read with its sign as the decimal sign and as the sign of thousands, "" if none."""
    sign = how.thousands if how.thousands in (",", ".") else how.decimal if how.decimal == "," else None
    if sign is None:
        return ""
    values = [str(each).strip() for each in texts.slice(0, 5000).to_pylist()]
    return doubtful_among(values, sign)


def doubtful_among(values: Sequence[str], sign: str) -> str:
    """Return a number that could have `sign` for decimals and for thousands, "" if other numbers decide."""
    other = "." if sign == "," else ","
    values = [re.sub(rf"\s*{CURRENCY}\s*", "", each.strip("()")) for each in values]
    signed = [each for each in values if sign in each]
    if any(other in each or each.count(sign) > 1 for each in signed):
        return ""
    if any(not re.fullmatch(GROUPS[sign], each) for each in signed):
        return ""  # 1,5 and 0,123 have no thousands
    plain = [each for each in values if sign not in each and re.fullmatch(r"[-+]?\d+", each)]
    if plain and all(abs(int(each)) < 1000 for each in plain) and len(plain) > 0.02 * len(signed):
        return ""  # small numbers without the sign, large ones with it: thousands
    if any(other in each for each in values):
        return ""
    return signed[0] if signed else ""
