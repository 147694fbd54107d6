import jinja2
import pytest

from cluster.launch.render import render


def test_a_template_gets_quoted_values_and_no_missing_ones(tmp_path):
    (tmp_path / "a.j2").write_text("x={{ x | quote }}\n{% if y %}\ny={{ y }}\n{% endif %}\n")
    assert render(tmp_path, "a.j2", x="a b'; rm -rf $HOME", y="") == "x='a b'\"'\"'; rm -rf $HOME'\n"
    with pytest.raises(jinja2.UndefinedError):
        render(tmp_path, "a.j2", x=1)
