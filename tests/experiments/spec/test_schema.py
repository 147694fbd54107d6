import json

import jsonschema

from experiments.spec import schema as schema_file
from experiments.spec.schema import SCHEMA, schema


def test_the_schema_is_checked_in():
    told = "run python -m experiments.spec.schema"
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == schema(), told


def test_the_schema_takes_a_right_spec(right, core):
    jsonschema.Draft202012Validator.check_schema(schema())
    check = jsonschema.Draft202012Validator(schema())
    tree = core(right.text)
    check.validate(tree)
    check.validate(tree | {"model": {"dropout": 0}, "training": {"learning_rate": 1}})
    check.validate(tree | {"data": tree["data"] | {"split": {"validation": 100, "test": "1996-01-01"}}})
    check.validate({k: v for k, v in tree.items() if k not in ("search", "storage", "task")})


def test_the_writer_writes_it(tmp_path, monkeypatch):
    monkeypatch.setattr(schema_file, "SCHEMA", tmp_path / "made.json")
    schema_file.main()
    assert (tmp_path / "made.json").read_text(encoding="utf-8") == SCHEMA.read_text(encoding="utf-8")
