"""Kernels that crash, hang or lie, made of a line of C."""

import subprocess
import tempfile
from pathlib import Path

import psutil
import tvm_ffi

from raydgp import Conv2d, config_space
from raydgp.settings import MeasureSettings

# One multiplication: out[0] = data[0] * weight[0] is all that a kernel has to do.
SPACE = config_space(Conv2d(n=1, ci=1, h=1, w=1, co=1, kh=1, kw=1), "llvm")
SETTINGS = MeasureSettings(min_repeat_ms=1, run_timeout_s=20)
QUICK = MeasureSettings(min_repeat_ms=1, run_timeout_s=0.7)
FOREVER = MeasureSettings(min_repeat_ms=1, run_timeout_s=1000)

HANG = "sigset_t all; sigfillset(&all); sigprocmask(SIG_SETMASK, &all, 0); for (;;) *(volatile int *)&calls += 1;"
SOURCE = """
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <tvm/ffi/c_api.h>
static int calls = 0;
static float *array(const TVMFFIAny *a) {
  char *at = (char *)a->v_ptr;
  return (float *)((DLTensor *)(a->type_index == kTVMFFIDLTensorPtr ? at : at + sizeof(TVMFFIObject)))->data;
}
int __tvm_ffi_main(void *self, const TVMFFIAny *args, int32_t count, TVMFFIAny *result) {
  float *data = array(args), *weight = array(args + 1), *out = array(args + 2);
  float right = data[0] * weight[0];
  calls += 1;
  %s
  (void)right; (void)weight; (void)out;
  return 0;
}
"""


def hostile(body: str) -> bytes:
    """A kernel with this body as the bytes of a shared library."""
    headers = tvm_ffi.libinfo.find_include_path(), tvm_ffi.libinfo.find_dlpack_include_path()
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "kernel.c", Path(folder) / "kernel.so"
        source.write_text(SOURCE % body)
        command = ["gcc", "-w", "-O1", "-shared", "-fPIC", *(f"-I{path}" for path in headers)]
        subprocess.run([*command, "-o", library, source], check=True)
        return library.read_bytes()


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def children() -> list[psutil.Process]:
    return [p for p in psutil.Process().children() if not gone(p.pid) and "raydgp.run.run_child" in p.cmdline()]
