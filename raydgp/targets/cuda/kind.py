"""The kind `cuda`: this machine's NVIDIA GPU, and others by their architecture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from raydgp.errors import InputError, nearest
from raydgp.sandbox import nvml
from raydgp.targets.kinds import Kind
from raydgp.targets.target import Limits, Target, frozen

_LIMITS = {"max_threads_per_block": 1024, "max_shared_memory_per_block": 49152, "thread_warp_size": 32}
_OLDEST = "sm_75"  # that CUDA 13 knows
_ARCHITECTURES = (
    *("sm_60", "sm_61", "sm_70", "sm_72", "sm_75", "sm_80", "sm_86", "sm_87", "sm_89", "sm_90"),
    *("sm_100", "sm_103", "sm_110", "sm_120", "sm_121"),
)


class Cuda(Kind):
    """Kernels for a GPU, compiled to machine code with or without one. All its arrays are plain."""

    name = "cuda"
    description = "an NVIDIA GPU"
    tvm_device = "cuda"
    on_processors = False
    resource = "GPU"
    runner_options: ClassVar[Mapping[str, Any]] = {"num_gpus": 1}
    build = "raydgp.build.cuda.library:compile_library"
    parts = "raydgp.build.cuda.launches:compile_parts"
    executable = "raydgp.build.cuda.executable:compile_executable"
    traced = "raydgp.templates.traced.cuda:CudaRules"

    def here(self) -> Target:
        return self._of("sm_" + nvml.first_gpu().capability.replace(".", ""))

    def from_attributes(self, attributes: Mapping[str, Any]) -> Target:
        arch, usual = attributes.get("arch", ""), Limits()
        limits = Limits(
            threads=attributes.get("max_threads_per_block", usual.threads),
            shared_bytes=min(attributes.get("max_shared_memory_per_block", usual.shared_bytes), usual.shared_bytes),
            registers=attributes.get("registers_per_block", usual.registers),
            warp=attributes.get("thread_warp_size", usual.warp),
        )
        return Target(
            kind=self.name, attributes=frozen(attributes), architecture=arch, instruction_set=arch, limits=limits
        )

    def architectures(self) -> tuple[str, ...]:
        return _ARCHITECTURES

    def named(self, architecture: str) -> Target:
        if architecture.rstrip("af") not in _ARCHITECTURES:  # the suffixes stand for what this one alone can do
            known = nearest(architecture, _ARCHITECTURES)
            raise InputError(f"target cuda: unknown architecture {architecture!r}{known}")
        return self._of(architecture)

    def _of(self, architecture: str) -> Target:
        """A target with the limits that all architectures keep, also of one that is newer than the list."""
        return self.from_attributes({"arch": architecture, **_LIMITS})

    def for_tasks(self) -> Target:
        """A target of which nothing is known: enough to tell a model's kernels apart, where no GPU is at hand."""
        return self.named(_OLDEST)

    def tvm_host(self) -> dict[str, Any]:
        """This machine's processor, without optimisation: the host's code but launches kernels."""
        from raydgp.targets.llvm.query import system_cpu  # loads TVM, which only compiling needs

        return {"kind": "llvm", "mcpu": system_cpu(), "opt-level": 0}

    def device(self, target: Target, threads: int | None = None) -> dict[str, Any]:
        gpu = nvml.first_gpu()
        return {"kind": self.name, "name": gpu.name, "driver": gpu.driver, "arch": target.architecture}

    def check_here(self, target: Target) -> None:
        here = self.here()
        if here.architecture != target.architecture:
            raise InputError(f"it is for a GPU of {target.architecture}, and here is one of {here.architecture}")

    def alike(self, device: Mapping[str, Any]) -> dict[str, Any]:
        """The GPU's name: GPUs of one architecture differ in speed."""
        return {"name": device.get("name")}

    def conditions(self) -> dict[str, float]:
        return nvml.conditions()

    def intrinsics(self) -> tuple[str, ...] | None:
        return None


CUDA = Cuda()
