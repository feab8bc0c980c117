"""What CPU spaces share: channel blocks in whole vectors, and tiles whose accumulators fit the register file.

Static validity is arithmetic: a tile's accumulators fit the register file and keep the multiply-add units busy, tiles
that hang over the output's edge waste little, and the unrolled body stays short enough to build in a fraction of a
second. Nothing else is refused: what is slow is for the search to find out.

Knobs and their options are the same on all processors, so that what was measured on one can teach another; what is
valid, the default, and the blocks between layers follow the processor's registers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from raydgp.space import Columns
from raydgp.space.knobs import Knob, divisors, split
from raydgp.targets import Target
from raydgp.workloads.ops import Convolution

LANES = 16  # float32 that knobs count as a vector: one register of 512 bits, two of 256
HALF = LANES // 2
MIN_ACCUMULATORS = 8  # two units, each with a latency of four cycles; or what the default has, if that is fewer
MAX_UNROLLED_FMAS = 1024  # of a loop body; about 10 KB of code
MAX_BLOCK = 64  # elements of a channel block
MAX_WASTE = 1.2  # points computed per point of the output
BLOCKS = (32, 16, 8)  # of channels between layers
_ROW = 6  # points of a tile beside each other that fill the pipeline
_WIDEST_TILE = 28
_TILE_COST = 0.5  # of starting a tile and writing it, in points


@dataclass(frozen=True)
class Registers:
    """The vector registers of a processor.

    Attributes:
        lanes: float32 in one.
        count: that code can name.
        scalars_from_memory: whether an instruction multiplies a vector by one number of memory, as AVX-512's do.
            Elsewhere that number waits in a register, and the weights in theirs.
    """

    lanes: int
    count: int
    scalars_from_memory: bool

    @classmethod
    def of(cls, target: Target) -> Registers:
        """Those of a target; the most that any has where nothing is known of it."""
        if not target.architecture:
            return cls(LANES, 32, True)
        return cls(target.vector_bits // 32, target.vector_registers, target.instruction_set == "avx512")

    def holding(self, lanes: int) -> int:
        """How many hold a vector of so many lanes."""
        return -(-lanes // self.lanes)

    def fits(
        self, block: NDArray[np.int64], points: NDArray[np.int64], unrolled: NDArray[np.int64], default: int
    ) -> NDArray[np.bool_]:
        """Whether a tile fits the registers and fills the pipeline, and its unrolled body is short enough.

        Args:
            block: int64[n, 3], channels as (outer, vectors, lanes).
            points: int64[n] of the tile in space.
            unrolled: int64[n], terms of the sum unrolled in the body.
            default: accumulators of the default's tile.
        """
        weights = block[:, 1] * -(-block[:, 2] // self.lanes)
        accumulators = weights * points
        operands = 2 if self.scalars_from_memory else weights + 1
        busy = accumulators >= min(MIN_ACCUMULATORS, default)
        return busy & (accumulators + operands <= self.count) & (accumulators * unrolled <= MAX_UNROLLED_FMAS)

    def points(self, lanes: int, most: int = _WIDEST_TILE) -> int:
        """The points of a tile that fit beside each other, of one vector of so many lanes each."""
        weights = self.holding(lanes)
        operands = 2 if self.scalars_from_memory else weights + 1
        return max(1, min(most, (self.count - operands) // weights))

    def block(self, channels: int) -> int:
        """Channels of a block of what a layer writes, as they are stored: of `BLOCKS`, else what divides them."""
        whole = whole_vectors(channels)
        return next(block for block in (*self.blocks, *range(whole, 0, -1)) if whole % block == 0)

    @property
    def blocks(self) -> Sequence[int]:
        """Those of `BLOCKS` of which a row of points fits; two registers of output side by side, where they do."""
        return [block for block in BLOCKS if block <= LANES or self.points(block) >= _ROW]


def whole_vectors(channels: int) -> int:
    """Output channels as they are stored, zeros at the end: a multiple of 16 if that adds 5 % at most, else of 8."""
    whole = -(-channels // LANES) * LANES
    return whole if whole <= 1.05 * channels else -(-channels // HALF) * HALF


def widest_vector(channels: int) -> int:
    """The widest of the lanes in `output_channels` that fill no more than one register."""
    return next((d for d in (LANES, HALF) if channels % d == 0), widest(channels, LANES))


def widest(extent: int, limit: int = 28) -> int:
    """The largest divisor up to a limit."""
    return max(d for d in divisors(extent) if d <= limit)


def output_channels(name: str, channels: int) -> Knob:
    """(outer, vectors, lanes): lanes in registers or halves, blocks of up to 64; anything for channels without."""
    unit = LANES if channels % LANES == 0 else HALF
    return split(name, channels, 3, lambda f: (f[:, 2] % unit == 0) & (f[:, 1] * f[:, 2] <= MAX_BLOCK))


def input_channels(name: str, channels: int) -> Knob:
    """(outer, middle, inner, unrolled): blocks of 8 to 64, or from the widest below where 8 to 16 has none."""
    narrowest = min(HALF, widest(channels, LANES))

    def keep(factors: NDArray[np.int64]) -> NDArray[np.bool_]:
        block = factors[:, 2] * factors[:, 3]
        return (block >= narrowest) & (block <= MAX_BLOCK)

    return split(name, channels, 4, keep)


def tiles(extent: int, limit: int) -> list[int]:
    """The smallest tile for every number of tiles, ascending: 13 -> 1 2 3 4 5 7 13; a divisor among them is exact."""
    sizes = range(1, min(extent, limit) + 1)
    return [size for size in sizes if -(-extent // -(-extent // size)) == size]


def even_tile(rows: int, columns: int, sizes: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """The tile of (rows, columns) that covers all with the least work, what hangs over the edge included."""

    def work(size: tuple[int, int]) -> float:
        return -(-rows // size[0]) * -(-columns // size[1]) * (size[0] * size[1] + _TILE_COST)

    return min(sizes, key=work)


def even_row(extent: int, sizes: Iterable[int]) -> int:
    """The same of one row."""
    return even_tile(1, extent, ((1, size) for size in sizes))[1]


def tight(workload: Convolution, c: Columns) -> NDArray[np.bool_]:
    """Whether whole tiles compute little more than the output: knob values of n configurations -> bool[n]."""
    rows, columns = (-(-e // t[:, 0]) * t[:, 0] for e, t in ((workload.oh, c["tile_oh"]), (workload.ow, c["tile_ow"])))
    return rows * columns <= MAX_WASTE * workload.oh * workload.ow


def stored(workload: Convolution, block: int) -> Convolution:
    """The convolution with the input channels that blocks of so many hold, what fills the last one included."""
    return workload if workload.ci % block == 0 else replace(workload, ci=-(-workload.ci // block) * block)
