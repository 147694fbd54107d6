import pytest

from experiments.spec.yaml_parser import plain


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('a: 1\nb: "\\0"\n', ("2: b", "control-character", {})),
        ("a: 1\nb: &x 2\n", ("2: b", "yaml-anchor", {"name": "x"})),
        ("a: 1\nb: *x\n", ("2: b", "yaml-alias", {"name": "x"})),
        ("a: 1\n<<: {b: 2}\n", ("2: <<", "yaml-merge-key", {})),
        (
            "a: !!python/object/apply:os.system [ls]\n",
            ("1: a", "yaml-tag", {"tag": "tag:yaml.org,2002:python/object/apply:os.system"}),
        ),
        ("a: !!str 5\n", ("1: a", "yaml-tag", {"tag": "tag:yaml.org,2002:str"})),
        ("a: ! 5\n", ("1: a", "yaml-tag", {"tag": "!"})),
        ("a: 1\n---\nb: 2\n", ("2", "second-document", {})),
        ("1: a\n", ("1: 1", "key-not-quoted", {"key": "1"})),
        ("~: a\n", ("1: ~", "key-not-quoted", {"key": "~"})),
        ("[a, b]: 1\n", ("1", "key-no-word", {})),
        ("m:\n  a: 1\n  b: 2\n  a: 3\n", ("4: m.a", "key-twice", {"first": 2})),
        ("a: " + "9" * 31 + "\n", ("1: a", "number-of-many-digits", {"most": 30})),
        ("a: " + "[" * 25 + "]" * 25 + "\n", ("1: a.0", "nested-too-deep", {"most": 20})),
        ("a: " + "[" * 100_000, ("1: a.0", "nested-too-deep", {"most": 20})),
        ("a: [" + "1," * 20_001 + "]", ("1: a.19998", "spec-of-many-values", {"most": 20000})),
        ("a:\n\tb: 1\n", ("2", "yaml-tab", {"column": 1})),
        ("a: {b: ${X}}\n", ("1", "yaml-bracket-not-closed", {"column": 9})),
        ("a: 'open\n", ("2", "yaml-quote-not-closed", {"column": 1})),
        ("a: b: c\n", ("1", "yaml-second-colon", {"column": 5})),
        ("a: 1\nb\nc: 2\n", ("3", "yaml-key-without-colon", {"column": 1})),
        ("a: 1\n  b: 2\n", ("2", "yaml-second-colon", {"column": 4})),
        ("a: [1, 2\nb: 3\n", ("2", "yaml-bracket-not-closed", {"column": 2})),
        ("a: @x\n", ("1", "yaml-needs-quotes", {"column": 4})),
    ],
)
def test_wrong_yaml_is_refused(write, unread, text, told):
    assert unread(write(text)) == [told]


@pytest.mark.parametrize("filling", ["", "# " + 5000 * "x" + "\n"], ids=["short", "long"])
def test_what_a_library_wrote_is_read_with_its_types(filling):
    assert plain(filling + "a: 1.0e-3\nb: [yes, null, '1']\n") == {"a": 0.001, "b": [True, None, "1"]}
    with pytest.raises(ValueError, match="flow sequence"):
        plain(filling + "a: [1")


@pytest.mark.parametrize("text", ["- " * 1999, "[" * 1999 + "]" * 1999])
def test_the_deepest_text_that_is_read_in_c_does_not_reach_the_end_of_its_stack(text):
    assert plain(text)


def test_what_is_nested_deeper_is_no_yaml():
    """The parser in C would fall off its stack, and Python with it."""
    with pytest.raises(ValueError, match="recursion"):
        plain("- " * 5000)
