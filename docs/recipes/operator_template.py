"""An operator that raydgp lacks, with a template for processors: batched matrix products, as attention has them."""

from dataclasses import dataclass

from tvm import s_tir, te

from raydgp import config_space, search
from raydgp.measure import LocalMeasurer
from raydgp.space import ConfigSpace, split
from raydgp.targets import Target
from raydgp.templates import PlainArrays, register
from raydgp.workloads import Workload

NAME = "llvm.batch_matmul.v1"


@dataclass(frozen=True, kw_only=True)
class BatchMatmul(Workload):  # x [b, n, k], y [b, k, m] -> [b, n, m]
    op = "batch_matmul"  # its name in records
    b: int
    n: int
    m: int
    k: int
    flops = property(lambda self: 2 * self.b * self.n * self.m * self.k)
    input_shapes = property(lambda self: ((self.b, self.n, self.k), (self.b, self.k, self.m)))
    output_shape = property(lambda self: (self.b, self.n, self.m))

    def reference(self, x, y):
        return x @ y


def space(w, target):
    knobs = [split("tile_n", w.n, 2), split("tile_m", w.m, 2)]
    default = {"tile_n": (w.n, 1), "tile_m": (w.m, 1)}
    room = target.vector_bits // 32 * (target.vector_registers - 3)  # for the sums of a tile, beside the operands
    return ConfigSpace(w, target.kind, NAME, knobs, default, lambda c: c["tile_n"][:, 1] * c["tile_m"][:, 1] <= room)


class Tiled(PlainArrays):
    def schedule(self, w, knobs, target):
        x, y, k = te.placeholder(w.input_shapes[0]), te.placeholder(w.input_shapes[1]), te.reduce_axis((0, w.k))
        out = te.compute(w.output_shape, lambda b, i, j: te.sum(x[b, i, k] * y[b, k, j], axis=k), name="out")
        sch = s_tir.Schedule(te.create_prim_func([x, y, out]))
        b, i, j, k = sch.get_loops(sch.get_sblock("out"))
        (i, row), (j, lane) = sch.split(i, knobs["tile_n"]), sch.split(j, knobs["tile_m"])
        sch.reorder(i, j, k, row, lane)
        sch.parallel(b)
        sch.unroll(row)
        sch.vectorize(lane)
        return sch.mod


register(target="llvm", workload=BatchMatmul, space=space, schedules={NAME: Tiled})

if __name__ == "__main__":
    tuned = config_space(BatchMatmul(b=4, n=48, m=64, k=64), Target.here("llvm"))
    with LocalMeasurer(Target.here("llvm")) as measurer:
        outcomes = measurer.measure(tuned, search.create("random", tuned, seed=0).ask(16))
    print([f"{m.status} {m.gflops(tuned.workload.flops):.1f} GFLOPS" for m in outcomes])
