"""Which configurations are allowed, as expressions over parameters: parsed, never evaluated as Python.

An expression is of names of parameters, numbers and texts, arithmetic, comparisons, `and`, `or`, `not`, `in` and some
functions. It is evaluated on whole columns. A division by zero allows nothing.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Collection, Mapping
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raydgp.errors import InputError, nearest

Columns = Mapping[str, NDArray[Any]]
Restriction = Callable[[Columns], NDArray[np.bool_]]

_Evaluate = Callable[[Columns], Any]
_LARGEST = 1 << 62  # of a whole number, so that sums stay in 64 bits
_DEEPEST = 100


def _divided(by: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def divide(a: Any, b: Any) -> Any:
        zero = np.asarray(b == 0)
        return np.where(zero, np.nan, by(a, np.where(zero, 1, b))) if zero.any() else by(a, b)

    return divide


def _power(a: Any, b: Any) -> Any:
    return np.float_power(a, b) if np.min(b) < 0 else np.power(a, b)


def _within(a: Any, options: Any) -> Any:
    return reduce(np.logical_or, [a == option for option in options], np.zeros(np.shape(a), bool))


_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: _divided(np.true_divide),
    ast.FloorDiv: _divided(np.floor_divide),
    ast.Mod: _divided(np.mod),
    ast.Pow: _power,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
}
_COMPARE: dict[type, Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: _within,
    ast.NotIn: lambda a, options: ~_within(a, options),
}
_UNARY: dict[type, Callable[[Any], Any]] = {
    ast.Not: lambda a: ~_truth(a),
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: operator.invert,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": lambda *a: reduce(np.minimum, a),
    "max": lambda *a: reduce(np.maximum, a),
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "log2": np.log2,
}


def parse(text: str, names: Collection[str]) -> Restriction:
    """An expression as a function of columns [n] by name -> bool[n].

    Args:
        names: of the parameters.

    Raises:
        InputError: it is no expression, has an unknown name or something else than what is allowed here.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else error
        raise InputError(f"restriction {text!r}: not an expression ({reason})") from None
    if _depth(tree) > _DEEPEST:
        raise InputError(f"restriction {text!r}: too deep; split it into several")
    evaluate = _compiled(tree.body, text, names)

    def allowed(columns: Columns) -> NDArray[np.bool_]:
        rows = len(next(iter(columns.values())))
        try:
            with np.errstate(all="ignore"):
                return np.array(np.broadcast_to(_truth(evaluate(columns)), rows))
        except (TypeError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise InputError(f"restriction {text!r}: cannot be computed ({reason}); mend it") from None

    return allowed


def _truth(value: Any) -> NDArray[np.bool_]:
    """As Python sees it, except that what is no number is False."""
    array = np.asarray(value)
    return array if array.dtype == bool else (array != 0) & (array == array)


def _depth(tree: ast.AST) -> int:
    level, depth = [tree], 0
    while level:
        level, depth = [child for node in level for child in ast.iter_child_nodes(node)], depth + 1
    return depth


def _compiled(node: ast.expr, text: str, names: Collection[str]) -> _Evaluate:
    def inner(part: ast.expr) -> _Evaluate:
        return _compiled(part, text, names)

    match node:
        case ast.Constant(value=bool() | float() | str() as value):
            return lambda _: value
        case ast.Constant(value=int() as value) if abs(value) < _LARGEST:
            return lambda _: value
        case ast.Name(id=name):
            if name not in names:
                raise InputError(f"restriction {text!r}: unknown parameter {name!r}{nearest(name, names)}")
            return lambda columns: columns[name]
        case ast.BoolOp(op=op, values=parts):
            join = np.logical_and if isinstance(op, ast.And) else np.logical_or
            joined = [inner(part) for part in parts]
            return lambda columns: reduce(join, [_truth(part(columns)) for part in joined])
        case ast.UnaryOp(op=op, operand=part):
            unary, operand = _UNARY[type(op)], inner(part)
            return lambda columns: unary(operand(columns))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            binary, a, b = _BINARY[type(op)], inner(left), inner(right)
            return lambda columns: binary(_number(a(columns)), _number(b(columns)))
        case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in _COMPARE for op in ops):
            sides = [inner(part) for part in (left, *others)]
            steps = [(_COMPARE[type(op)], sides[k], sides[k + 1]) for k, op in enumerate(ops)]
            return lambda columns: reduce(np.logical_and, [compare(a(columns), b(columns)) for compare, a, b in steps])
        case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
            members = [inner(part) for part in parts]
            return lambda columns: [member(columns) for member in members]
        case ast.Call(func=ast.Name(id=name), args=[_, *_] as parts, keywords=[]) if name in _FUNCTIONS:
            function, arguments = _FUNCTIONS[name], [inner(part) for part in parts]
            return lambda columns: function(*(argument(columns) for argument in arguments))
    raise InputError(
        f"restriction {text!r}: {ast.unparse(node)!r} is not allowed; write it with parameters, numbers, arithmetic, "
        f"comparisons, and, or, not, in, {', '.join(_FUNCTIONS)}, or give an array function"
    )


def _number(value: Any) -> Any:
    """Flags count as 0 and 1."""
    array = np.asarray(value)
    return array.astype(np.int64) if array.dtype == bool else array
