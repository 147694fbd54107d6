"""Messages about a spec: its draft, its file, its fields, what does nothing, what does not fit the task."""

from lstm.messages.entry import Entry

FIELDS: dict[str, Entry] = {
    "and-more": Entry("has {count:,} more faults", "fix the faults above first", {"count": 7}),
    "field-missing": Entry(
        "is missing",
        "add it{allowed:?: one of *}{about:?: *}",
        {"allowed": None, "about": "Column with the values to forecast."},
    ),
    "field-of-another-section": Entry(
        "is no field of this section",
        "move it: {name} belongs to {sections}",
        {"name": "learning_rate", "sections": ["training"]},
    ),
    "field-of-another-type": Entry(
        "would do nothing with type: {type}",
        "leave it out, or use a type that has it: {types}",
        {"type": "random", "types": ["tpe"]},
    ),
    "name-like-a-file": Entry(
        "is {name}, which verbs would take for a file", "leave the ending out", {"name": "energy.yaml"}
    ),
    "name-reserved": Entry("is {name}, which is reserved", "take another name", {"name": "artifacts"}),
    "name-with-dots": Entry(
        "is {name}, and a name may not hold '..' or end with '.'", "take another name", {"name": "a..b"}
    ),
    "not-one-of": Entry(
        "is {came}{near:?, did you mean *?}",
        "use one of {allowed}",
        {"came": '"lstn"', "near": "lstm", "allowed": ["lstm", "gru", "rnn"]},
    ),
    "out-of-bounds": Entry("is {came}", "make it {bounds}", {"came": "-1", "bounds": "at least 1"}),
    "unknown-field": Entry(
        "is no field of this section{near:?, did you mean *?}",
        "rename it, or leave it out{allowed:?; the section has *}",
        {"near": "hidden_size", "allowed": None},
    ),
    "wrong-form": Entry(
        "is {came}, which does not have the right form",
        "correct it{about:?: *}",
        {"came": '"a b"', "about": "Letters."},
    ),
    "wrong-key": Entry(
        "is no key that may stand here",
        "correct the key{about:?: *}",
        {"about": "letters, digits and _, no digit first"},
    ),
    "wrong-type": Entry(
        "is {came}{near:?, did you mean *?}",
        "write {wanted}{hint:?; *}",
        {"came": '"32"', "wanted": "a whole number", "near": None, "hint": "remove the quotes"},
    ),
    "bidirectional-sees-the-future": Entry(
        "would let the network see its own answers: this task asks for an answer at every step, and a bidirectional "
        "layer reads the steps after it",
        "leave it out",
    ),
    "window-shorter-than-horizon": Entry(
        "is {length}, but a window must have room for data.horizon = {horizon} steps",
        "give at least {horizon}, or leave it out",
        {"length": 12, "horizon": 24},
    ),
    "backtest-of-another-task": Entry(
        "can't be given: the task {task} has no backtest, and is judged on its validation part as a whole",
        "leave it out",
        {"task": "tank.py:Tank"},
    ),
    "backtest-of-generated-data": Entry(
        "can't be given: the task {task} generates its sequences from seeds, so another window would have more of the "
        "same",
        "leave it out; for a surer judgement enlarge data.sizes.validation",
        {"task": "memory"},
    ),
    "validation-beside-folds": Entry(
        "would do nothing beside data.backtest: each of the {folds} folds is judged, and there is no other validation "
        "part",
        "leave it out, or leave data.backtest out",
        {"folds": 5},
    ),
    "calendar-feature-twice": Entry("names {feature} twice", "name it once", {"feature": "hour_of_day"}),
    "chrono-of-short-sequences": Entry(
        "is chrono, which draws memories from 1 step to one step less than a sequence has, and a sequence has {steps}",
        "give sequences of 3 steps or more, or give a number",
        {"steps": 2},
    ),
    "column-name-taken": Entry(
        "is {column}, the name of a column that predict adds to its answer",
        "rename the column",
        {"column": "probability"},
    ),
    "column-of-two-roles": Entry(
        "names column {column!r}, which {other} names too",
        "give the column one role",
        {"column": "temperature", "other": "data.target"},
    ),
    "column-twice-in-a-role": Entry("names column {column!r} twice", "name it once", {"column": "temperature"}),
    "dropout-without-layers": Entry(
        "would do nothing: dropout acts between layers, and num_layers is 1",
        "set model.num_layers: 2 or more, or dropout: 0",
    ),
    "field-of-another-problem": Entry(
        "would do nothing with problem: {problem}: it belongs to {owner}",
        "leave it out, or set data.problem: {owner}",
        {"problem": "adding", "owner": "copy"},
    ),
    "field-of-another-schedule": Entry(
        "would do nothing with schedule: {schedule}",
        "leave it out, or use a schedule that has it: {schedules}",
        {"schedule": "constant", "schedules": ["exponential", "plateau"]},
    ),
    "field-of-another-method": Entry(
        "would do nothing with training.method: {method}",
        "leave it out, or set training.method: {other}",
        {"method": "gradient", "other": "evolution"},
    ),
    "field-of-forecast": Entry("would do nothing: only the task forecast uses it", "leave it out"),
    "no-forget-gate": Entry(
        "would do nothing: {field}: {value} has no forget gate", "leave it out", {"field": "cell", "value": "gru"}
    ),
    "no-momentum": Entry(
        "would do nothing: {optimizer} has no momentum",
        "set training.optimizer: sgd, or leave it out",
        {"optimizer": "adam"},
    ),
    "unknown-encoding": Entry(
        "{encoding!q} is no encoding", "write it as in utf-8, utf-16-le or cp1252", {"encoding": "utf9"}
    ),
    "decimal-is-thousands": Entry("is {sign!q}, and so is data.decimal", "give two different signs", {"sign": ","}),
    "unknown-zone": Entry("{zone!q} is no time zone", "write it as in Europe/Berlin or UTC", {"zone": "Berlin"}),
    "formats-and-columns-differ": Entry(
        "has {formats} formats, but data.time has {columns} columns",
        "give a list with a format for each column",
        {"formats": 1, "columns": 2},
    ),
    "not-a-time-format": Entry(
        "{format!q} is no time format",
        "write it as in %d/%m/%Y %H:%M, or use unix_s, unix_ms, unix_us, unix_ns or hour_ending",
        {"format": "DD.MM.YYYY"},
    ),
    "not-open-hours": Entry("{text!q} are no open hours", "write them as in Mon-Fri 09:30-16:00", {"text": "9 to 5"}),
    "no-time-column": Entry("would do nothing: the spec names no time column", "name it in data.time"),
    "noise-on-symbols": Entry(
        "would do nothing: the inputs are symbols, and noise can't be added to symbols", "leave it out"
    ),
    "nothing-to-train": Entry(
        "leaves nothing for training: validation and test add up to {total:g}", "make them smaller", {"total": 1.0}
    ),
    "patience-too-long": Entry(
        "would do nothing: {patience} epochs without a better value{more:? and * more} don't fit into "
        "max_epochs: {max_epochs}",
        "make it smaller",
        {"patience": 20, "more": 3, "max_epochs": 20},
    ),
    "shares-above-one": Entry("has shares that add up to {total:g}", "make the shares smaller", {"total": 1.2}),
    "split-of-several-kinds": Entry("mixes kinds", "use only shares (0.15), only row counts (2880) or only times"),
    "too-many-steps": Entry(
        "asks for {steps:,} steps in memory, {most:,} are the most",
        "make data.sizes or data.length smaller",
        {"steps": 2_000_000_000, "most": 500_000_000},
    ),
    "variant-of-another-cell": Entry(
        "is a variant of the LSTM, and cell is {cell}", "set model.cell: lstm, or leave it out", {"cell": "gru"}
    ),
    "warmup-of-all-steps": Entry(
        "is {warmup}, and a sequence has {steps} steps",
        "make it smaller, so that some steps are left to learn from",
        {"warmup": 24, "steps": 24},
    ),
    "warmup-of-both-directions": Entry(
        "can't be used with model.bidirectional, which has no first steps", "leave one of them out"
    ),
    "warmup-of-unequal-lengths": Entry(
        "can't be used where sequences differ in length: a short sequence may have no steps after the warm-up",
        "leave it out",
    ),
}

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
    "spec-of-many-values": Entry("has more than {most:,} values", "write a smaller spec", {"most": 20_000}),
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
_SPEC_FILE = {
    "spec-not-a-file": Entry("is not a regular file", "give a file that can be read twice"),
    "spec-empty": Entry("is empty", "write its fields; `sweep new data.csv` makes a spec"),
    "spec-is-a-folder": Entry("is a folder", "give a file in it"),
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
    "address-with-keys": Entry(
        "may hold no keys, since the study and MLflow would keep them",
        "give them by the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)",
    ),
    "address-with-options": Entry(
        "may hold no options", "give them by the environment (AWS_DEFAULT_REGION, AWS_ENDPOINT_URL)"
    ),
    "address-without-bucket": Entry("names no bucket", "write {scheme}://BUCKET/FOLDER", {"scheme": "s3"}),
    "address-without-file": Entry("names no file", "write {scheme}://BUCKET/FOLDER/FILE", {"scheme": "s3"}),
    "address-without-folder": Entry("names no folder of this host", "write file:///FOLDER, or the folder alone"),
    "address-without-slashes": Entry("looks like an address", "write {scheme}:// with two slashes", {"scheme": "s3"}),
    "one-database-for-both": Entry(
        "is the study's database, and MLflow needs a database of its own", "name another database"
    ),
}
FILE: dict[str, Entry] = _YAML | _SPEC_FILE | _VALUES | _ADDRESSES
DRAFTS: dict[str, Entry] = {
    "series-in-rows": Entry(
        "is a wide table: each row is a series, and its {count:,} columns from {first!q} to {last!q} are steps, but a "
        "series must be a column",
        "turn it, as with pandas: read_csv(…).set_index({id!q}).T, and give each series a column or a file of its own",
        {"rows": 60, "count": 999, "first": "V2", "last": "V1000", "id": "V1"},
    ),
    "point-for-thousands": Entry(
        "column {column!q}: {value!q}{other:? beside *} can be read with a point for decimals and for thousands",
        "write the spec by hand: with data.thousands: '.' and data.decimal: ',' for thousands, else for decimals",
        {"column": "load", "value": "1.012", "other": "987"},
    ),
    "year-of-two-digits": Entry(
        "time column {column!q}: the year of {value!q} has two digits and would be {year}",
        "write years with four digits",
        {"column": "Month", "value": "Jan-49", "year": 2049},
    ),
    "steps-in-columns": Entry(
        "has {count} time steps of each row as columns, from {first!q} to {last!q}, but a series must be one column",
        "put them one under another, as with pandas: read_csv(…).set_index({index!q}).stack(), or write the spec by "
        "hand if each column is a series of its own",
        {"count": 12, "first": "Jan", "last": "Dec", "index": "year"},
    ),
    "decimal-or-thousands": Entry(
        "column {column!q}: {value!q} can be read with {sign!q} for decimals and for thousands",
        "write the spec by hand with data.decimal: '{sign}' or data.thousands: '{sign}'",
        {"column": "load", "value": "1,234", "sign": ","},
    ),
    "spec-instead-of-data": Entry(
        "is a spec, not data", "give a CSV or Parquet file (sweep plan {file} checks a spec)", {"file": "sweep.yaml"}
    ),
    "no-column-with-own-name": Entry("no column has a name of its own", "name the columns in the first line"),
    "numbers-instead-of-names": Entry(
        "has only numbers, so the file has no header",
        "name the columns in the first line, as in time,value, or write the spec by hand with data.header: false",
    ),
    "too-few-rows": Entry(
        "has {rows} rows, too few for a window to train on and one to judge",
        "give {least} rows or more, and better some hundreds",
        {"rows": 5, "least": 20},
    ),
    "no-column-to-forecast": Entry(
        "has no column to forecast: {column!q} is left out ({why})",
        "add a column of numbers that change",
        {"column": "load", "why": "always the same value"},
    ),
    "no-column-of-numbers": Entry(
        "has no column of numbers to forecast (columns: {columns!q}{further:? and * more})",
        "add a column of numbers",
        {"columns": ["day", "name"], "further": None},
    ),
    "texts-among-numbers": Entry(
        "column {column!q}: {value!q} is not a number ({count} values of the column are not)",
        "write numbers as in 3.14, and leave the cell empty if a number is missing",
        {"column": "load", "value": "1,5", "count": 300},
    ),
    "several-series": Entry(
        "is a panel: it has {series:,} series, one for each value of {columns!q}{time:?, and time * occurs in several "
        "of them}{column:?, and the numbers in column '*' repeat for each}{anew:?, and the numbers in column '*' begin "
        "anew for each}",
        "write each series into a file of its own, or give each series a column of its own{anew:?, or give each an id "
        "and a label (the task classify tells such sequences apart)}",
        {"series": 2, "columns": ["shop"], "time": "2024-01-01", "column": None, "anew": None},
    ),
    "several-ids-or-labels": Entry(
        "can be read as labelled sequences in several ways, by these columns for id and label: {ways}",
        "remove the columns that are not meant, or write the spec by hand, as in task: classify, data: {{path: {file}, "
        "id: {id}, {time:?time: *, }columns: [{columns}], label: {label}, split: {{validation: 0.2, test: 0.2}}}}",
        {
            "ways": [["run", "kind"], ["run", "hand"]],
            "file": "runs.csv",
            "id": "run",
            "time": "step",
            "columns": ["x", "y"],
            "label": "kind",
        },
    ),
    "no-such-label": Entry(
        "column {column!q} is no label: a label has one value in all rows of a sequence (able: {labels!q})",
        "name one of these columns",
        {"column": "x", "labels": ["kind"]},
    ),
    "ids-or-labels-missing": Entry(
        "column {column!q} has no {role} in this row ({count:,} rows lack it), but the task classify, with id {id!q} "
        "and label {label!q}, needs one in each row",
        "write another word (an empty cell, NA, null and the like are missing)",
        {"column": "kind", "role": "label", "count": 12, "id": "run", "label": "kind"},
    ),
    "no-column-to-classify-by": Entry(
        "has no column of numbers that changes within the sequences of column {id!q}, by which their classes could be "
        "told (left out: {left_out})",
        "add a column of numbers that change from step to step",
        {"id": "run", "left_out": ["weight: one value in each sequence", "note: no numbers"]},
    ),
    "steps-in-another-order": Entry(
        "column {column!q} orders the steps of a sequence by its name, but the rows are in another order, and "
        "data.time takes no fractions",
        "sort the rows, or write whole numbers",
        {"column": "timestamp"},
    ),
}
