"""Text becomes plain values, or a clear refusal before anything large is built."""

import json
import time
from typing import Any

import pytest
import yaml

from scheduler.kube.parse.text import BadText, parse

BOMB = "- &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"- &{b} [{', '.join(['*' + a] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


def values(text: str) -> list[Any]:
    return [document.value for document in parse(text.encode()) if not document.empty]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
        ("2024-01-01", "2024-01-01"),
        ("12:30", "12:30"),
        ("1.7.3", "1.7.3"),
        ("017", 15),
        ("0o17", 15),
        ("0x1F", 31),
        ("-3", -3),
        ("1_000", 1000),
        ("1e3", 1000.0),
        ("-.5", -0.5),
        ("yes", True),
        ("Off", False),
        ("~", None),
        ("", None),
        ("'1'", "1"),
        ("!!str 1", "1"),
        ("64Gi", "64Gi"),
        ("1" * 100, "1" * 100),
    ],
)
def test_a_plain_scalar_means_what_it_means_to_kubernetes(text: str, expected: object) -> None:
    (found,) = values(f"a: {text}")
    assert found == {"a": expected}
    assert type(found["a"]) is type(expected)


def test_structures_read_as_pyyaml_reads_them() -> None:
    text = "a: [1, {b: c}]\nd: |\n  two\n  lines\ne: &x {f: 1}\ng: *x\nh: {<<: *x, i: 2}\n"
    assert values(text) == list(yaml.safe_load_all(text))


def test_documents_are_numbered_as_they_stand_and_empty_ones_are_marked() -> None:
    found = parse(b"---\n# a comment\n---\na: 1\n---\n")
    assert [(d.index, d.empty) for d in found] == [(1, True), (2, False), (3, True)]


def test_json_may_be_followed_by_more_documents_and_may_be_written_in_flow_style() -> None:
    assert values('{"a": 1}\n---\n{"b": 2}') == [{"a": 1}, {"b": 2}]
    assert values("{a: b}") == [{"a": "b"}]
    assert values("\ufeff[1]") == [[1]]


def test_keys_that_look_like_numbers_become_strings_as_kubectl_makes_them() -> None:
    assert values("8080: x\ntrue: y") == [{"8080": "x", "true": "y"}]


def test_brackets_inside_of_strings_are_no_nesting() -> None:
    text = json.dumps({"a": "[{" * 500 + '"\\'})
    assert values(text) == [json.loads(text)]


@pytest.mark.parametrize("text", ["[" * 200 + "]" * 200, "a: " + "[" * 199 + "]" * 199])
def test_200_levels_are_read(text: str) -> None:
    assert len(values(text)) == 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[" * 201 + "]" * 201, "nesting deeper than 200 levels"),
        ("[" * 3000 + "]" * 3000, "nesting deeper than 200 levels"),
        ("[" * 3000, "nesting deeper than 200 levels"),
        ('{"a":' * 3000 + "1" + "}" * 3000, "nesting deeper than 200 levels"),
        ("a: " + "[" * 3000 + "]" * 3000, "nesting deeper than 200 levels"),
        ("".join(" " * i + "a:\n" for i in range(3000)), "nesting deeper than 200 levels"),
        ("a: &a " + "[" * 150 + "]" * 150 + "\nb: " + "[" * 100 + "*a" + "]" * 100, "nesting deeper than 200 levels"),
        (BOMB, "more than 1,000,000 values"),
        ("a: &a [*a]", "before its anchor is whole"),
        ("a: *b", "before its anchor is whole"),
        ("a: .nan", ".nan, at line 1"),
        ("a: -.inf", "-.inf, at line 1"),
        ('{"a": NaN}', "NaN"),
        ('{"a": -Infinity}', "-Infinity"),
        ('{"a": 1e999}', "1e999"),
        ('{"a": ' + "9" * 5000 + "}", "a number of thousands of digits"),
        ("a: 1\nb: 2\na: 3", "the key 'a' twice in one mapping, at line 3"),
        ('{"a": {"b": 1, "b": 2}}', "the key 'b' twice in one mapping"),
        ("? [1]\n: 2", "a key that is no string"),
        ("a: !!python/object/apply:os.system [x]", "the tag tag:yaml.org,2002:python"),
        ("a: !mine {}", "the tag !mine"),
        ("<<: 5", "a merge (<<) of what is no mapping"),
        ("a: [}", "no YAML"),
        ("a: 'open", "no YAML"),
        ('{"a": [1, 2', "JSON that ends in the middle"),
        ('{"a": "b', "JSON that ends in the middle"),
        ('{"a": 1,, "b": 2}', "no JSON"),
        ('{"a": "\\ud800"}', "half a surrogate pair"),
        ("", "an empty file"),
        (" \n\t", "an empty file"),
        ("a\0b", "a binary file"),
    ],
)
def test_a_text_that_cannot_be_used_is_refused_with_what_was_found(text: str, found: str) -> None:
    with pytest.raises(BadText) as error:
        values(text)
    assert found in error.value.found


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(BadText, match="not UTF-8"):
        parse(b"a: \xff\xfa")


def test_refusing_a_text_takes_time_in_proportion_to_its_size() -> None:
    hostile = ['{"a":"' + '\\"' * 1_000_000, "[{}," * 199 + "[" + "[]," * 500_000, "[]" * 500_000]
    started = time.process_time()
    for text in hostile:
        with pytest.raises(BadText):
            values(text)
    assert time.process_time() - started < 10
