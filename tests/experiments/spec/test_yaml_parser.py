import pytest

SECOND_COLON = "a second ': ' on the line, or a wrong indentation; put text that holds ': ' in quotes"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('a: 1\nb: "\\0"\n', "a.yaml:2: b: holds a control character"),
        ("a: 1\nb: &x 2\n", "a.yaml:2: b: anchors (&x) are not allowed; leave it out"),
        ("a: 1\nb: *x\n", "a.yaml:2: b: aliases (*x) are not allowed; write the value out"),
        ("a: 1\n<<: {b: 2}\n", "a.yaml:2: <<: merge keys are not allowed; write the keys out"),
        (
            "a: !!python/object/apply:os.system [ls]\n",
            "a.yaml:1: a: tags (tag:yaml.org,2002:python/object/apply:os.system) are not allowed; leave it out",
        ),
        ("a: !!str 5\n", "a.yaml:1: a: tags (tag:yaml.org,2002:str) are not allowed; leave it out"),
        ("a: ! 5\n", "a.yaml:1: a: tags (!) are not allowed; leave it out"),
        ("a: 1\n---\nb: 2\n", "a.yaml:2: a second document starts here; a spec is one document"),
        ("1: a\n", "a.yaml:1: 1: a key must be text; put it in quotes if it is meant"),
        ("~: a\n", "a.yaml:1: ~: a key must be text; put it in quotes if it is meant"),
        ("[a, b]: 1\n", "a.yaml:1: a key must be one word"),
        ("m:\n  a: 1\n  b: 2\n  a: 3\n", "a.yaml:4: m.a: is written twice, on line 2 and here; keep one"),
        ("a: " + "9" * 31 + "\n", "a.yaml:1: a: is a number of more than 30 digits"),
        ("a: " + "[" * 25 + "]" * 25 + "\n", "a.yaml:1: a.0: nested deeper than 20 levels"),
        ("a: " + "[" * 100_000, "a.yaml:1: a.0: nested deeper than 20 levels"),
        ("a: [" + "1," * 20_001 + "]", "a.yaml:1: a.19998: more than 20,000 values; a spec is smaller"),
        ("a:\n\tb: 1\n", "a.yaml:2: column 1: a tab; indent with spaces"),
        ("a: {b: ${X}}\n", None),
        ("a: 'open\n", "a.yaml:2: column 1: a quote is opened and never closed"),
        ("a: b: c\n", f"a.yaml:1: column 5: {SECOND_COLON}"),
        ("a: 1\nb\nc: 2\n", None),
        ("a: 1\n  b: 2\n", None),
        ("a: [1, 2\nb: 3\n", None),
        ("a: @x\n", "a.yaml:1: column 4: text that starts with this character must be in quotes"),
    ],
)  # fmt: skip
def test_wrong_yaml_is_refused(write, unread, text, message):
    told = unread(write(text))
    assert len(told) == 1
    assert told[0] == message if message else told[0].startswith("a.yaml:")
