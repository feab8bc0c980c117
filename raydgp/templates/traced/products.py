"""The schedule with open decisions of a product of two matrices that are both computed, as in attention.

MetaSchedule's tiles divide the matrices, and few numbers divide 197 tokens. Here the matrices are padded to whole tiles
and vectors within the kernel, the right one is laid out in columns of one vector, and a tile is summed in registers, as
in the templates for layers, whose right matrix is constant.
"""

from __future__ import annotations

from typing import Any

from tvm.s_tir import Schedule
from tvm.s_tir.schedule import SBlockRV
from tvm.tirx import IntImm, IterVar, Var

from raydgp.space.knobs import divisors
from raydgp.templates.llvm.registers import Registers, even_row
from raydgp.templates.llvm.tiles import straight

_FEWEST_ROWS = 4  # of the left matrix: with less, laying out the right one costs more than the product
_EVEN = 7  # from so many vectors in a row on, one more makes them even
_VECTORS = (4, 1, 2)  # of a tile; the last one that divides a row is the default


def matrix_product(sch: Schedule, registers: Registers) -> Schedule | None:
    """The schedule of a kernel that is one product, alone or with what follows it elementwise; None of any other.

    A product is [..., i, k] x [..., k, j] -> [..., i, j], each matrix as it is or transposed.

    Args:
        sch: its blocks inlined as far as they go.

    Raises:
        ScheduleError: what follows the product is not elementwise.
    """
    product, *after = sch.get_child_blocks(sch.get_sblock("root"))
    operands = _operands(sch.get(product))
    rows, columns = (int(sch.get(loop).extent) for loop in sch.get_loops(product)[-3:-1]) if operands else (0, 0)
    if operands is None or rows < _FEWEST_ROWS or len(after) > 1:
        return None
    lanes, most = registers.lanes, registers.points(2 * registers.lanes)
    tile = next((row for row in range(most, most // 3, -1) if rows % row == 0), even_row(rows, range(1, most + 1)))
    vectors = -(-columns // lanes)
    vectors += vectors % 2 if vectors >= _EVEN else 0

    batch = len(sch.get_loops(product)) - 3
    sch.pad_einsum(product, [1] * batch + [tile, vectors * lanes, 1])
    out = _separate(sch, product, after)
    left, right = operands
    _lay_out(sch, product, left, right, lanes)
    *outer, i, j, k = sch.get_loops(product)
    i, row = sch.split(i, [None, _one_of(sch, _rows(int(sch.get(i).extent), registers.points(lanes), tile))])
    j, vector, lane = sch.split(j, [None, _one_of(sch, [v for v in _VECTORS if vectors % v == 0]), lanes])
    sch.reorder(*outer, i, j, k, row, vector, lane)
    sch.set_scope(product, 0, "local")
    sch.reverse_compute_at(out, j, preserve_unit_loops=True)
    sch.parallel(sch.fuse(*outer, i))
    straight(sch, [row, vector, lane])
    straight(sch, sch.get_loops(sch.decompose_reduction(product, k))[-3:])
    *_, out_row, out_column = sch.get_loops(out)
    out_vector, out_lane = sch.split(out_column, [None, lanes])
    if vectors * lanes == columns:  # else a condition keeps what lies in the output, lane by lane, which is much code
        straight(sch, [out_row, out_vector, out_lane])
    else:
        sch.vectorize(out_lane)
    return sch


def _operands(node: Any) -> tuple[int, int] | None:
    """Which operand of a block is the left matrix and which the right one; None where it is no product."""
    kinds = [int(it.iter_type) for it in node.iter_vars]
    indices = [index for region in (*node.writes, *node.reads) if (index := _index(region)) is not None]
    if len(indices) != 3 or len(node.reads) != 2 or len(kinds) < 3 or kinds.count(IterVar.CommReduce) != 1:
        return None
    i, j, k = (it.var for it in node.iter_vars[-3:])
    written, *read = indices
    sides = [tuple(_among(var, index) for var in (i, j, k)) for index in read]
    if kinds[-1] != IterVar.CommReduce or not _same(written[-2:], (i, j)):
        return None
    if sorted(sides) != [(False, True, True), (True, False, True)]:
        return None
    right = sides.index((False, True, True))
    return (1 - right, right) if all(_among(var, read[right][-2:]) for var in (j, k)) else None


def _index(region: Any) -> list[Any] | None:
    """Where an operand is read or written, a variable or a number for each dimension; None where it is computed."""
    index = [part.min for part in region.region]
    return index if all(isinstance(part, Var | IntImm) for part in index) else None


def _separate(sch: Schedule, product: SBlockRV, after: list[SBlockRV]) -> SBlockRV:
    """The block that writes the output, what padding has put before it included."""
    crop = sch.get_consumers(product)
    if not crop:
        return sch.cache_write(product, 0, "local")
    if after and not sch.get(crop[0]).same_as(sch.get(after[0])):
        sch.compute_inline(crop[0])
    return after[0] if after else crop[0]


def _lay_out(sch: Schedule, product: SBlockRV, left: int, right: int, lanes: int) -> None:
    """The right matrix in columns of one vector [..., j/lanes, k, lanes], made before the product by all threads."""
    made = {sch.get(block).writes[0].source.name: block for block in sch.get_producers(product)}
    reads = sch.get(product).reads
    if (padded := made.get(reads[left].source.name)) is not None:
        sch.compute_inline(padded)
    laid_out = made.get(reads[right].source.name) or sch.cache_read(product, right, "global")
    j = sch.get(product).iter_vars[-2].var
    rank = len(reads[right].region)
    at = next(place for place, part in enumerate(reads[right].region) if part.min.same_as(j))
    other = 2 * rank - 3 - at  # of the last two dimensions

    def in_columns(*index: Any) -> tuple[Any, ...]:
        return (*index[:-2], index[at] // lanes, index[other], index[at] % lanes)

    sch.transform_layout(laid_out, ("write", 0), in_columns)
    *outer, inner = sch.get_loops(laid_out)
    sch.parallel(sch.fuse(*outer))
    if at > other:  # it is read along memory, and written
        sch.vectorize(sch.split(inner, [None, lanes])[1])


def _rows(extent: int, most: int, default: int) -> list[int]:
    return [*(row for row in divisors(extent) if row <= most and row != default), default]


def _one_of(sch: Schedule, values: list[int]) -> Any:
    """An open decision; the last one is the default."""
    return sch.sample_categorical(values, [1 / len(values)] * len(values), decision=len(values) - 1)


def _same(index: list[Any], variables: tuple[Any, ...]) -> bool:
    return all(part.same_as(variable) for part, variable in zip(index, variables, strict=True))


def _among(variable: Any, index: list[Any]) -> bool:
    return any(part.same_as(variable) for part in index)
