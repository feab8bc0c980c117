"""CUDA C on a CPU: compiled by g++, a block's threads as fibres that switch at barriers.

A fibre runs until it reaches `__syncthreads` or a warp shuffle. When none can go on, the lanes of a warp that wait in a
shuffle exchange their values; when all wait at the barrier, it opens. A barrier that only a part of a block reaches is
an error, as are reads of shared memory that was never written: it is full of NaN.

Of tensor cores wmma_emulator.h makes loops.

The last steps of TVM's sum over a block rely on the lanes of a warp to keep step; so they do here.

The order in which threads run between two barriers can be turned round; a race shows as different results.
"""

import ctypes
import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from raydgp.build.launch import Launch

_RUNTIME = r"""
#include <ucontext.h>
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <vector>
#define __global__
#define __launch_bounds__(...)
#define uint unsigned int
using std::max;
using std::min;
static float rsqrtf(float x) { return 1 / sqrtf(x); }
struct Dim { int x, y, z; };
static Dim threadIdx, blockIdx, blockDim, gridDim;
enum State { READY, BARRIER, SHUFFLE, DONE };
struct Fibre { ucontext_t context; State state; Dim index; float out; float in; int source; };
static std::vector<Fibre> fibres;
static ucontext_t scheduler;
static size_t current;
static void wait(State state) {
  fibres[current].state = state;
  swapcontext(&fibres[current].context, &scheduler);
  threadIdx = fibres[current].index;
}
static void __syncthreads() { wait(BARRIER); }
static void __syncwarp(unsigned = 0) {}
static unsigned __activemask() { return 0xffffffffu; }
static float shuffle(float value, int source) {
  fibres[current].out = value;
  fibres[current].source = source;
  wait(SHUFFLE);
  return fibres[current].in;
}
static float __shfl_down_sync(unsigned, float value, unsigned delta, int) {
  int lane = current % 32;
  return shuffle(value, lane + delta < 32 ? current + delta : current);
}
static float __shfl_sync(unsigned, float value, int lane, int) { return shuffle(value, current / 32 * 32 + lane); }
static void lockstep() { shuffle(0, current); }
"""
_TENSOR_CORES = (Path(__file__).parent / "wmma_emulator.h").read_text()

_LAUNCH = r"""
static void (*kernel)();
static void enter() { kernel(); fibres[current].state = DONE; swapcontext(&fibres[current].context, &scheduler); }
// 0: done; 1: a barrier that some threads never reach
static int launch(void (*body)(), Dim grid, Dim block, int reversed) {
  const size_t size = block.x * block.y * block.z, stack = 1 << 18;
  kernel = body; gridDim = grid; blockDim = block;
  std::vector<char> stacks(size * stack);
  for (blockIdx.z = 0; blockIdx.z < grid.z; ++blockIdx.z)
  for (blockIdx.y = 0; blockIdx.y < grid.y; ++blockIdx.y)
  for (blockIdx.x = 0; blockIdx.x < grid.x; ++blockIdx.x) {
    forget();
    fibres.assign(size, Fibre());
    for (size_t i = 0; i < size; ++i) {
      Fibre& f = fibres[i];
      f.index = {int(i % block.x), int(i / block.x % block.y), int(i / block.x / block.y)};
      getcontext(&f.context);
      f.context.uc_stack.ss_sp = &stacks[i * stack]; f.context.uc_stack.ss_size = stack;
      makecontext(&f.context, enter, 0);
    }
    for (;;) {
      bool ran = false;
      for (size_t k = 0; k < size; ++k) {
        current = reversed ? size - 1 - k : k;
        Fibre& f = fibres[current];
        if (f.state != READY) continue;
        threadIdx = f.index;
        swapcontext(&scheduler, &f.context);
        ran = true;
      }
      if (ran) continue;
      bool shuffled = false;
      for (Fibre& f : fibres) if (f.state == SHUFFLE) {
        f.in = size_t(f.source) < size ? fibres[f.source].out : std::numeric_limits<float>::quiet_NaN();
        shuffled = true;
      }
      for (Fibre& f : fibres) if (f.state == SHUFFLE) f.state = READY;
      if (shuffled) continue;
      size_t done = 0;
      for (Fibre& f : fibres) { done += f.state == DONE; if (f.state == BARRIER) f.state = READY; }
      if (done == size) break;
      if (done) return 1;
    }
  }
  return 0;
}
"""

_KERNEL = re.compile(r'extern "C" __global__ void (?:__launch_bounds__\(\d+\) )?(\w+)\(([^)]*)\) \{')
_IN_WARP = re.compile(r"^ +(?:float w_\d+_\d+ = .*|.* = w_\d+_\d+);$", re.MULTILINE)
_SHARED = re.compile(r"__shared__ (?:alignas\(\d+\) )?(float|half) (\w+)\[(\d+)\];")


def compile_emulated(source: str, launches: Sequence[Launch], folder: Path) -> Callable[..., None]:
    """Compiles what TVM generated.

    Returns:
        `run(buffers, reverse)`: launches the kernels one after the other on arrays of float32 (or float16, where the
        kernel says half), by number, which they write in place; RuntimeError when the threads of a block part at a
        barrier.
    """
    loaded = ctypes.CDLL(str(emulated_library(source, launches, folder)))

    def run(buffers: Sequence[np.ndarray], reverse: bool = False) -> None:
        for launch in launches:
            given = [buffers[number].ctypes.data for number in launch.arguments]
            if getattr(loaded, f"run_{launch.kernel}")((ctypes.c_void_p * len(given))(*given), int(reverse)):
                raise RuntimeError(f"{launch.kernel}: threads of a block part at a barrier")

    return run


def emulated_library(source: str, launches: Sequence[Launch], folder: Path) -> Path:
    """Compiles what TVM generated to a shared library.

    For each kernel it has `run_<kernel>(pointers, reversed)`, and `shape_<kernel>`: extents of the grid, of a block,
    and how many arguments it takes.
    """
    code = source[source.index('extern "C"') :]
    types = {name: [one.split()[0] for one in arguments.split(",")] for name, arguments in _KERNEL.findall(code)}
    shared = _SHARED.findall(code)  # made global, so that each block can find them forgotten
    code = _IN_WARP.sub(r"\g<0> lockstep();", _SHARED.sub("", code))
    declared = "".join(f"alignas(64) static {kind} {name}[{size}];\n" for kind, name, size in shared)
    forget = "".join(f"for (auto& x : {name}) x = std::numeric_limits<float>::quiet_NaN();\n" for _, name, _ in shared)
    units = _TENSOR_CORES if "nvcuda::wmma" in code else ""
    parts = [_RUNTIME, units, declared, f"static void forget() {{ {forget} }}\nstatic void** given;\n", _LAUNCH, code]
    for launch in launches:
        grid, block = (", ".join(map(str, extents)) for extents in (launch.grid, launch.block))
        arguments = ", ".join(f"({kind})given[{i}]" for i, kind in enumerate(types[launch.kernel]))
        parts.append(
            f'extern "C" int run_{launch.kernel}(void** pointers, int reversed) {{\n  given = pointers;\n'
            f"  return launch([] {{ {launch.kernel}({arguments}); }}, {{{grid}}}, {{{block}}}, reversed);\n}}\n"
            f'extern "C" const unsigned shape_{launch.kernel}[] = {{{grid}, {block}, {len(launch.arguments)}}};\n'
        )
    file, library = folder / "kernel.cpp", folder / "kernel.so"
    file.write_text("".join(parts))
    command = ["g++", "-O1", "-w", "-std=c++17", "-shared", "-fPIC", "-o", str(library), str(file)]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr[:2000]
    return library
