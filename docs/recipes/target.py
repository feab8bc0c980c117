"""A kind of target that raydgp lacks: processors for which there is a C compiler and no LLVM, by TVM's C code."""

import tempfile
from pathlib import Path

from tvm import s_tir, te

from raydgp import Dense, config_space, search, targets, templates
from raydgp.build.compile import CompiledKernel, compile_executable
from raydgp.measure import LocalMeasurer
from raydgp.sandbox.cpus import own_cores
from raydgp.space import ConfigSpace, split
from raydgp.targets import Kind, Target
from raydgp.templates import PlainArrays


class C(Kind):
    name = "c"
    build = f"{__name__}:build"

    def here(self):
        return self.from_attributes({})

    def from_attributes(self, attributes):  # scalar code: a register holds one float32
        return Target(kind="c", attributes=tuple(attributes.items()), vector_bits=32, cores=len(own_cores()))


def build(module, target):
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "kernel.so"
        compile_executable(module, target).export_library(str(library), workspace_dir=folder, options=["-O3"])
        return CompiledKernel(library.read_bytes())


def space(w, target):
    knobs = [split("tile_m", w.m, 2), split("tile_k", w.k, 2)]
    return ConfigSpace(w, target.kind, "c.dense.v1", knobs, {"tile_m": (w.m, 1), "tile_k": (w.k, 1)})


class Tiled(PlainArrays):
    def schedule(self, w, knobs, target):
        x, y, k = te.placeholder((w.n, w.k)), te.placeholder((w.m, w.k)), te.reduce_axis((0, w.k))
        out = te.compute((w.n, w.m), lambda i, j: te.sum(x[i, k] * y[j, k], axis=k), name="out")
        sch = s_tir.Schedule(te.create_prim_func([x, y, out]))
        i, j, k = sch.get_loops(sch.get_sblock("out"))
        (j, column), (k, step) = sch.split(j, knobs["tile_m"]), sch.split(k, knobs["tile_k"])
        sch.reorder(i, j, k, column, step)
        return sch.mod


targets.register(C())
templates.register(target="c", workload=Dense, space=space, schedules={"c.dense.v1": Tiled})

if __name__ == "__main__":
    tuned = config_space(Dense(n=8, k=256, m=256), "c")
    with LocalMeasurer(Target.here("c")) as measurer:
        outcomes = measurer.measure(tuned, search.create("random", tuned, seed=0).ask(16))
    print([f"{m.status} {m.gflops(tuned.workload.flops):.1f} GFLOPS" for m in outcomes])
