"""The grammar of quantities, against values computed by hand from apimachinery's rules."""

import pytest

from scheduler.kube.parse.quantity import LARGEST, amount, is_extended


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("cpu", "1", 1000),
        ("cpu", "500m", 500),
        ("cpu", "0.5", 500),
        ("cpu", ".5", 500),
        ("cpu", "5.", 5000),
        ("cpu", "0.0001", 1),
        ("cpu", "1n", 1),
        ("cpu", "1u", 1),
        ("cpu", "2k", 2_000_000),
        ("cpu", "1e3", 1_000_000),
        ("cpu", "1E-3", 1),
        ("cpu", "+2", 2000),
        ("cpu", 2, 2000),
        ("cpu", 0.25, 250),
        ("memory", "64Gi", 64 * 2**30),
        ("memory", "1.5Ki", 1536),
        ("memory", "0.3Ki", 308),
        ("memory", "128974848", 128974848),
        ("memory", "129e6", 129_000_000),
        ("memory", "129M", 129_000_000),
        ("memory", "128974848000m", 128974848),
        ("memory", "1m", 1),
        ("memory", "1E", 10**18),
        ("memory", "1e+2", 100),
        ("memory", "1Ei", LARGEST),
        ("memory", "0e999999999", 0),
        ("memory", "1e-999999", 1),
        ("memory", "-0", 0),
        ("nvidia.com/gpu", "8", 8),
        ("nvidia.com/gpu", 8, 8),
        ("nvidia.com/gpu", "8000m", 8),
        ("nvidia.com/gpu", "1k", 1000),
        ("hugepages-2Mi", "4Mi", 4 * 2**20),
        ("pods", "110", 110),
    ],
)
def test_a_quantity_reads_as_apimachinery_reads_it(name: str, text: object, expected: int) -> None:
    assert amount(name, text) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cpu", ""),
        ("cpu", "two"),
        ("cpu", "."),
        ("cpu", "m"),
        ("cpu", "1 "),
        ("cpu", " 1"),
        ("cpu", "1mm"),
        ("cpu", "1Kii"),
        ("cpu", "1K"),
        ("cpu", "1.2.3"),
        ("cpu", "1e"),
        ("cpu", "1e1e1"),
        ("cpu", "٣"),
        ("cpu", "0x10"),
        ("cpu", "-1"),
        ("memory", "-1Gi"),
        ("memory", "8Ei"),
        ("memory", "1152921504606846977"),
        ("memory", "9223372036854775808"),
        ("memory", "1e999999999"),
        ("memory", "1" * 5000),
        ("memory", 10**30),
        ("memory", float("inf")),
        ("memory", float("nan")),
        ("memory", True),
        ("memory", None),
        ("memory", ["1"]),
        ("nvidia.com/gpu", "500m"),
        ("nvidia.com/gpu", "eight"),
        ("nvidia.com/gpu", 0.5),
        ("nvidia.com/gpu", "-8"),
        ("cpu", "9223372036854775807"),
    ],
)
def test_what_is_no_quantity_or_cannot_be_meant_is_refused_with_what_is_expected(name: str, value: object) -> None:
    with pytest.raises(ValueError, match="from 0 to 2\\^60"):
        amount(name, value)


def test_only_names_with_a_domain_count_whole_devices() -> None:
    assert is_extended("nvidia.com/gpu")
    assert not is_extended("cpu")
    assert not is_extended("hugepages-1Gi")
