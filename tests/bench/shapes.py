"""The shape of what `coterie bench -o json` prints, as JSON Schema."""

from typing import Any

NUMBER: dict[str, Any] = {"type": "number", "minimum": 0}
ROW: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["what", "unit", "median", "least", "most", "values", "bound", "holds", "facts"],
    "properties": {
        "what": {"type": "string", "minLength": 1},
        "unit": {"enum": ["s", "ms", "MB", "bytes", "binds/s"]},
        "median": NUMBER,
        "least": NUMBER,
        "most": NUMBER,
        "values": {"type": "array", "minItems": 1, "items": NUMBER},
        "bound": {"type": ["number", "null"]},
        "holds": {"type": ["boolean", "null"]},
        "facts": {"type": "object", "additionalProperties": {"type": ["string", "number"]}},
    },
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
