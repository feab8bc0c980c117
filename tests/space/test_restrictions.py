"""Restrictions say of whole columns what Python says of each row; what Python alone could do is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raydgp.errors import InputError
from raydgp.space.restrictions import parse

COLUMNS = {
    "a": np.array([0, 1, 2, 3, 16, 64]),
    "b": np.array([1, 2, 0, 5, 7, 3]),
    "x": np.array([0.5, -1.0, 2.5, 0.0, 1.0, 8.0]),
    "name": np.array(["NHWC", "NCHW", "a", "NHWC", "b", "a"]),
    "flag": np.array([True, False, True, True, False, False]),
}

numbers = st.sampled_from(["a", "b", "x", "flag", "1", "2", "16", "0.5", "(-3)"])
sums = st.recursive(
    numbers,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(inner, st.sampled_from(["%", "//", "/"]), st.sampled_from(["3", "b"])).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        ),
        st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(lambda t: f"{t[0]}({t[1]}, {t[2]})"),
    ),
    max_leaves=5,
)
comparisons = st.one_of(
    st.tuples(sums, st.sampled_from(["<", "<=", ">", ">=", "=="]), sums).map(" ".join),
    st.tuples(sums, sums, sums).map(lambda t: f"{t[0]} < {t[1]} <= {t[2]}"),
    st.sampled_from(["name == 'NHWC'", "name in ('a', 'b')", "name not in ['a']", "name != 'b'", "flag", "not a"]),
)
expressions = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        inner.map(lambda text: f"(not {text})"),
    ),
    max_leaves=4,
)


def by_python(text: str, row: int) -> bool | None:
    """None where Python divides by zero, or may not have looked at such a division."""
    values = {name: column[row].item() for name, column in COLUMNS.items()}
    if values["b"] == 0 and any(f"{op} b" in text for op in "%/"):
        return None
    return bool(eval(text, {"min": min, "max": max}, values))


@given(expressions)
def test_columns_say_what_python_says_of_each_row(text: str) -> None:
    found = parse(text, COLUMNS)(COLUMNS)
    assert (found.dtype, found.shape) == (bool, (6,))
    for row, said in enumerate(found.tolist()):
        assert by_python(text, row) in (said, None), f"{text} at {row}"


def test_a_division_by_zero_allows_nothing_unless_something_else_does() -> None:
    zero = COLUMNS["b"] == 0
    assert not parse("a % b == 0", COLUMNS)(COLUMNS)[zero].any()
    assert not parse("a / b > 0", COLUMNS)(COLUMNS)[zero].any()
    assert parse("b == 0 or a % b == 0", COLUMNS)(COLUMNS)[zero].all()


def test_powers_and_bits() -> None:
    assert parse("2 ** (-a) <= 0.25", COLUMNS)(COLUMNS).tolist() == [False, False, True, True, True, True]
    assert parse("a & (a - 1) == 0", COLUMNS)(COLUMNS).tolist() == [True, True, True, False, True, True]
    assert parse("log2(a) == 4", COLUMNS)(COLUMNS).tolist() == [False] * 4 + [True, False]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a <",
        "a; b",
        "__import__('os').system('true')",
        "a.real",
        "a[0]",
        "lambda: 1",
        "(a := 3)",
        "f'{a}'",
        "[i for i in a]",
        "a if a else b",
        "min()",
        "min(a, key=b)",
        "a is 3",
        "a @ b",
        "unknown < 3",
        f"a < {10**30}",
        "a < 1j",
        "-" * 300 + "a",
        "a\0",
    ],
)
def test_anything_else_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InputError, match="restriction") as caught:
        parse(text, COLUMNS)
    assert "\n" not in str(caught.value)
