"""Libraries held to another processor's instructions, in the processes that run them."""

import os
import platform
import subprocess
import sys

import pytest

from raydgp.rivals import held
from raydgp.targets import Target

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="of x86")
NARROW = "llvm/x86-64"  # the baseline, which every machine here has more than


def test_this_machine_is_not_held_back():
    own = Target.here("llvm")
    assert held.environment("llvm") == held.environment(str(own)) == held.environment("cuda") == {}
    assert held.note("llvm") == ""


def test_torch_keeps_to_the_instructions():
    asked = "import torch; print(torch.backends.cpu.get_cpu_capability())"
    variables = held.environment(NARROW)
    done = subprocess.run(
        [sys.executable, "-c", asked], env=os.environ | variables, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "DEFAULT"
    assert all(held.environment(NARROW, way) == {} for way in ("torch compiled", "onnxruntime", "raydgp"))
    assert all(f"{name}={value}" in held.note(NARROW) for name, value in variables.items())
