"""The shape of what `coterie bench -o json` prints, as JSON Schema."""

from typing import Any

NUMBER: dict[str, Any] = {"type": "number", "minimum": 0}
MEASURED: dict[str, Any] = {"type": ["number", "null"], "minimum": 0}
ROW: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["what", "unit", "median", "least", "most", "values", "bound", "at_least", "holds", "facts"],
    "properties": {
        "what": {"type": "string", "minLength": 1},
        "unit": {"enum": ["s", "ms", "MB", "bytes", "binds/s", "%", "ratio", "instances", "racks", "gangs", ""]},
        "median": MEASURED,
        "least": MEASURED,
        "most": MEASURED,
        "values": {"type": "array", "items": NUMBER},
        "bound": {"type": ["number", "null"]},
        "at_least": {"type": "boolean"},
        "holds": {"type": ["boolean", "null"]},
        "facts": {"type": "object", "additionalProperties": {"type": ["string", "number"]}},
    },
    # What has no values says why.
    "if": {"properties": {"values": {"maxItems": 0}}},
    "then": {"properties": {"facts": {"required": ["not run"]}, "median": {"const": None}}},
    "else": {"properties": {"unit": {"minLength": 1}, "median": NUMBER}},
}
REPORT: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["apiVersion", "kind", "environment", "seed", "runs", "shrink", "scenarios"],
    "properties": {
        "apiVersion": {"const": "coterie.dev/v1alpha1"},
        "kind": {"const": "BenchReport"},
        "environment": {"type": "object", "required": ["cpus", "cpu", "load", "python", "ortools"]},
        "seed": {"type": "integer"},
        "runs": {"type": "integer"},
        "shrink": {"type": "integer"},
        "scenarios": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name", "what", "bound", "rows"],
                "properties": {
                    "name": {"type": "string"},
                    "what": {"type": "string"},
                    "bound": {"type": "string"},
                    "rows": {"type": "array", "minItems": 1, "items": ROW},
                },
            },
        },
    },
}
