"""The parameters of functions, said as each service says them."""

from gemtune.datasets import convert

GOOGLE = {
    "type": "OBJECT",
    "properties": {
        "type": {"type": "STRING", "nullable": True, "enum": ["a"]},
        "many": {"type": "ARRAY", "items": {"type": "INTEGER", "nullable": True}},
        "either": {"anyOf": [{"type": "STRING"}, {"type": "NUMBER"}], "nullable": True},
        "sure": {"type": "BOOLEAN", "nullable": False},
    },
    "required": ["type"],
}
JSON_SCHEMA = {
    "type": "object",
    "properties": {
        "type": {"type": ["string", "null"], "enum": ["a", None]},
        "many": {"type": "array", "items": {"type": ["integer", "null"]}},
        "either": {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "null"}]},
        "sure": {"type": "boolean"},
    },
    "required": ["type"],
}


def from_openai(parameters):
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    tools = [{"type": "function", "function": {"name": "f", "parameters": parameters}}]
    (example,) = convert([{"messages": turns, "tools": tools}], to="vertex")
    return example


def parameters_of(example):
    return example["tools"][0]["functionDeclarations"][0]["parameters"]


def test_googles_types_become_those_of_json_schema_at_every_depth():
    turns = [{"role": role, "parts": [{"text": "a"}]} for role in ("user", "model")]
    tools = [{"functionDeclarations": [{"name": "f", "parameters": GOOGLE}]}]
    (row,) = convert([{"contents": turns, "tools": tools}], to="openai")
    assert row["tools"][0]["function"]["parameters"] == JSON_SCHEMA


def test_what_may_be_null_is_nullable_at_google_and_comes_back_as_it_was():
    example = from_openai(JSON_SCHEMA)
    assert parameters_of(example)["properties"] == {
        "type": {"type": "string", "nullable": True, "enum": ["a"]},
        "many": {"type": "array", "items": {"type": "integer", "nullable": True}},
        "either": {"anyOf": [{"type": "string"}, {"type": "number"}], "nullable": True},
        "sure": {"type": "boolean"},
    }
    (row,) = convert([example], to="openai")
    assert row["tools"][0]["function"]["parameters"] == JSON_SCHEMA


def test_what_json_schema_cannot_say_without_a_type_stays():
    turns = [{"role": role, "parts": [{"text": "a"}]} for role in ("user", "model")]
    tools = [{"functionDeclarations": [{"name": "f", "parameters": {"nullable": True}}]}]
    (row,) = convert([{"contents": turns, "tools": tools}], to="openai")
    assert row["tools"][0]["function"]["parameters"] == {"nullable": True}


def test_several_types_become_a_choice_of_them():
    found = parameters_of(from_openai({"type": "object", "properties": {"a": {"type": ["string", "integer", "null"]}}}))
    assert found["properties"]["a"] == {"anyOf": [{"type": "string"}, {"type": "integer"}], "nullable": True}


def test_what_googles_schemas_do_not_have_is_said_of_the_row():
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    inner = {"type": "array", "items": {"oneOf": [{"type": "string"}, {"type": "number"}]}}
    parameters = {"type": "object", "properties": {"a": {"$ref": "#/$defs/b"}, "c": inner, "not": {"type": "string"}}}
    tools = [{"type": "function", "function": {"name": "f", "parameters": parameters}}]
    conversion = convert([{"messages": turns, "tools": tools}], to="vertex")
    (example,) = conversion
    assert parameters_of(example)["properties"]["a"] == {"$ref": "#/$defs/b"}
    (issue,) = conversion.issues
    assert (issue.severity, issue.code) == ("warning", "schema")
    assert "say $ref, oneOf, which Google's schemas do not have" in issue.message
    from_openai(JSON_SCHEMA)
