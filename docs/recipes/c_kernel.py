"""A matrix product in C, tuned by its block sizes, its order of loops and the compiler's flags."""

import ctypes
import os
import subprocess
import tempfile
import time

import numpy as np

import raydgp

N = 256
SOURCE = """
#define min(a, b) ((a) < (b) ? (a) : (b))
void product(const float *a, const float *b, float *restrict c) {
  for (int i = 0; i < N * N; i++) c[i] = 0;
  for (int i0 = 0; i0 < N; i0 += BLOCK_I)
    for (int k0 = 0; k0 < N; k0 += BLOCK_K)
      for (int i = i0; i < min(i0 + BLOCK_I, N); i++)
#if INNER_K
        for (int j = 0; j < N; j++)
          for (int k = k0; k < min(k0 + BLOCK_K, N); k++) c[i * N + j] += a[i * N + k] * b[k * N + j];
#else
        for (int k = k0; k < min(k0 + BLOCK_K, N); k++)
          for (int j = 0; j < N; j++) c[i * N + j] += a[i * N + k] * b[k * N + j];
#endif
}
"""


def measure(config):
    """Compiles the kernel of a configuration, checks what it computes, and returns the seconds of three calls."""
    options = [f"-D{name}={int(config[name])}" for name in ("BLOCK_I", "BLOCK_K", "INNER_K")]
    with tempfile.TemporaryDirectory() as folder:
        library = os.path.join(folder, "kernel.so")
        command = ["gcc", config["level"], "-march=native", *config["math"].split(), *options, f"-DN={N}"]
        subprocess.run([*command, "-shared", "-fPIC", "-xc", "-", "-o", library], input=SOURCE.encode(), check=True)
        product = ctypes.CDLL(library).product
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, N, N), np.float32)
    c, seconds = np.empty((N, N), np.float32), []
    for _ in range(3):
        began = time.perf_counter()
        product(*(array.ctypes.data_as(ctypes.c_void_p) for array in (a, b, c)))
        seconds.append(time.perf_counter() - began)
    np.testing.assert_allclose(c, a @ b, rtol=1e-3, atol=1e-3)
    return seconds


if __name__ == "__main__":
    options = {"BLOCK_I": [256, 16, 32, 64, 128], "BLOCK_K": [256, 16, 32, 64, 128], "INNER_K": [True, False]}
    flags = {"level": ["-O2", "-O3"], "math": ["", "-ffast-math"]}
    space = raydgp.space.parameters({**options, **flags}, ["BLOCK_I * BLOCK_K >= 1024"], "product", 2 * N**3)
    run = raydgp.tune_function(measure, space, trials=12, strategy="genetic", batch=4, mlflow=False)
    print(run.best[["default_gflops", "best_gflops", "speedup", "knobs"]].to_dict("records"))
