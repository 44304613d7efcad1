from __future__ import annotations

from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from blueprint_tune.schemas import SCHEMAS, load_schema


def test_every_schema_file_belongs_to_a_document() -> None:
    names = {file.name for file in files("blueprint_tune.schemas").iterdir() if file.name.endswith(".json")}
    assert names == {f"{name}.schema.json" for name in SCHEMAS.values()}


@pytest.mark.parametrize("name", sorted(SCHEMAS.values()))
def test_schemas_are_valid_and_described(name: str) -> None:
    schema = load_schema(name)
    Draft202012Validator.check_schema(schema)
    assert schema["title"]
    assert schema["description"]
    assert set(schema["required"]) == set(schema["properties"])


@pytest.mark.parametrize("name", sorted(SCHEMAS.values()))
def test_unknown_fields_are_refused(name: str) -> None:
    schema: dict[str, Any] = load_schema(name)
    with pytest.raises(ValidationError, match="surprise"):
        Draft202012Validator({**schema, "required": []}).validate({"surprise": 1})
