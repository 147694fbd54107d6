import re
from pathlib import Path

from dashboards.report.glossary import MEANINGS, meaning


def test_every_number_that_is_defined_has_its_words_and_no_other_has() -> None:
    diagnostics = Path(__file__).parents[3] / "lstm" / "diagnostics"
    text = "".join(
        (diagnostics / f"{name}.py").read_text() for name in ("response", "activation", "scalability", "reliability")
    )
    listed = re.findall(r"^ {4}- (`.*?):", text, re.MULTILINE)
    defined = {name for line in listed for name in re.findall(r"`(\w+/\w+)[^`]*`", line)}
    assert defined == set(MEANINGS)


def test_a_column_or_a_gate_behind_the_name_changes_nothing() -> None:
    assert meaning("feedback/gain/CO2 (ppm/a)") == meaning("feedback/gain") != ""
    assert meaning("activation/saturated/input_gate") == MEANINGS["activation/saturated"]
    assert meaning("other/thing") == meaning("") == ""
