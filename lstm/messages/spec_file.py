"""Messages about a spec as a file: its YAML, `--set`, variables of the environment, and addresses."""

from lstm.messages.entry import Entry

_NOTHING = "write the value out"
_YAML = {
    "control-character": Entry(
        "holds a control character{character:? (*)}", "remove the character", {"character": "U+0007"}
    ),
    "key-no-text": Entry("has the key {key}, which is no text", "write the key as text", {"key": "3"}),
    "key-no-word": Entry("has a key that is a list or a mapping", "write the key as one word"),
    "key-not-quoted": Entry("is a key that is no text", "put the key in quotes, if it is meant", {"key": "3"}),
    "key-twice": Entry("occurs twice{first:?, on line * and here}", "keep one of them", {"first": 4}),
    "nested-too-deep": Entry("is nested deeper than {most} levels", "write a flatter spec", {"most": 20}),
    "number-of-many-digits": Entry(
        "is a number of more than {most} digits", "use a smaller number, or put it in quotes", {"most": 30}
    ),
    "second-document": Entry("starts a second document", "keep one document in a spec"),
    "too-many-values": Entry("has more than {most:,} values", "write a smaller spec", {"most": 20_000}),
    "value-no-yaml": Entry(
        "is a {type}",
        "use mappings, lists, text, numbers, booleans and None, which a spec can have",
        {"type": "set"},
    ),
    "yaml-alias": Entry("uses the alias *{name}, and a spec has no aliases", _NOTHING, {"name": "base"}),
    "yaml-anchor": Entry("has the anchor &{name}, and a spec has no anchors", "leave the anchor out", {"name": "base"}),
    "yaml-bracket-not-closed": Entry(
        "column {column}: a bracket is not closed, or a comma is missing",
        "close the bracket; inside {{ }} and [ ] put ${{...}} in quotes",
        {"column": 7},
    ),
    "yaml-character": Entry("column {column}: a character that can't be shown", "remove the character", {"column": 7}),
    "yaml-indentation": Entry(
        "column {column}: this does not fit the indentation, or the value, before it",
        "indent it as the lines beside it",
        {"column": 7},
    ),
    "yaml-key-without-colon": Entry(
        "column {column}: a key has no ':', or the line above it is not finished",
        "write the key as in name: my-sweep",
        {"column": 7},
    ),
    "yaml-merge-key": Entry("is a merge key, and a spec has none", "write the keys out"),
    "yaml-needs-quotes": Entry(
        "column {column}: text can't start with this character", "put the text in quotes", {"column": 7}
    ),
    "yaml-other": Entry("column {column}: {why}", "correct the YAML", {"column": 7, "why": "did not find a key"}),
    "yaml-quote-not-closed": Entry(
        "column {column}: a quote is opened and never closed", "close the quote", {"column": 7}
    ),
    "yaml-second-colon": Entry(
        "column {column}: a second ': ' on the line, or a wrong indentation",
        "put text that holds ': ' in quotes",
        {"column": 7},
    ),
    "yaml-tab": Entry("column {column}: a tab", "indent with spaces", {"column": 7}),
    "yaml-tag": Entry("has the tag {tag}, and a spec has no tags", "leave the tag out", {"tag": "!!str"}),
}
_FILE = {
    "no-such-spec": Entry("does not exist{near:?, did you mean *?}", "give an existing file", {"near": "co2.yaml"}),
    "not-a-file": Entry("is not a regular file", "give a file that can be read twice"),
    "spec-empty": Entry("is empty", "write a spec, as in `sweep new data.csv`"),
    "spec-is-a-folder": Entry("is a folder", "give the spec's file"),
    "spec-no-mapping": Entry("is no mapping", "write fields, as in name: my-sweep"),
    "spec-not-utf8": Entry("is not UTF-8 text (byte 0x{byte:02x})", "save the file as UTF-8", {"byte": 0xE4}),
    "spec-too-large": Entry(
        "has {bytes:,} bytes, a spec has at most {most:,}",
        "write a smaller spec",
        {"bytes": 2_000_000, "most": 1_000_000},
    ),
    "spec-unreadable": Entry("can't be read: {why}", "make the file readable", {"why": "Permission denied"}),
}
_VALUES = {
    "no-such-variable": Entry(
        "needs {name}, which the environment does not have",
        "set it, or give a default: ${{{name}:-default}}",
        {"name": "DATA_FOLDER"},
    ),
    "set-beyond-the-list": Entry(
        "is beyond the list {list}, which has {items} items, counted from 0",
        "use a smaller index",
        {"list": "data.target", "items": 2},
    ),
    "set-in-no-mapping": Entry("can't be set: {field} is no mapping", "set {field} whole", {"field": "data.path"}),
    "set-of-a-block": Entry("is a block", "give one value, a list as [a, b] or a mapping as {{a: 1}}"),
    "set-of-wrong-form": Entry("does not have the form path=value", "write it as in --set training.max_epochs=5"),
    "variable-not-closed": Entry(
        "has ${{ without a name", "write ${{NAME}} or ${{NAME:-default}}, or $${{ for the characters themselves"
    ),
}
_ADDRESSES = {
    "address-character": Entry(
        "holds a character that an address may not have", "write it as % and two digits, a blank as %20"
    ),
    "address-not-utf8": Entry("is not UTF-8, and stores could not keep it", "use another name"),
    "address-of-unknown-scheme": Entry(
        "has no known scheme", "use a folder, or one of {schemes}", {"schemes": ["s3", "gs"]}
    ),
    "address-refused": Entry("{why}", "write another address", {"why": "has no known scheme"}),
    "address-with-keys": Entry(
        "may hold no keys, since the study and MLflow would keep them",
        "give them by the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)",
    ),
    "address-with-options": Entry(
        "may hold no options", "give them by the environment (AWS_DEFAULT_REGION, AWS_ENDPOINT_URL)"
    ),
    "address-without-bucket": Entry("names no bucket", "write {scheme}://BUCKET/FOLDER", {"scheme": "s3"}),
    "address-without-folder": Entry("names no folder of this host", "write file:///FOLDER, or the folder alone"),
    "address-without-slashes": Entry("looks like an address", "write {scheme}:// with two slashes", {"scheme": "s3"}),
    "one-database-for-both": Entry(
        "is the study's database, and MLflow needs a database of its own", "name another database"
    ),
}
ENTRIES = _YAML | _FILE | _VALUES | _ADDRESSES
