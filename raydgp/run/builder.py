"""Builds configurations in a child process, so that a stuck or crashing compiler costs one configuration."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Self

from raydgp.build.launch import Launch
from raydgp.errors import ChildDied, ChildHung
from raydgp.records import Resources, Status
from raydgp.sandbox.cpus import thread_environment
from raydgp.sandbox.process import Child
from raydgp.space import ConfigSpace
from raydgp.targets import Target


@dataclass(frozen=True, kw_only=True)
class Built:
    """The outcome of one build.

    Attributes:
        status: ok, build_error or build_timeout.
        library: bytes of the shared library, or by `parts` of a GPU of the cubin; empty unless ok.
        error: one line; empty when ok.
        build_s: seconds it took.
        resources: of each CUDA kernel.
        launches: of a cubin, in order.
        workspaces: bytes of each buffer that only the launches share.
    """

    status: Status
    library: bytes = b""
    error: str = ""
    build_s: float = 0.0
    resources: tuple[Resources, ...] = ()
    launches: tuple[Launch, ...] = ()
    workspaces: tuple[int, ...] = ()


class Builder:
    """Owns one compiling child and replaces it when it fails. Not for use by two threads at a time."""

    def __init__(self) -> None:
        self._child: Child | None = self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def build(self, space: ConfigSpace, index: int, target: Target, timeout_s: float, part: str = "build") -> Built:
        """Builds one configuration that is statically valid, or that the compiler may try in spite of it.

        Args:
            part: as of `raydgp.build.compile.compile_kernel`.

        Raises:
            RaydgpError: no child can be started here; says nothing about the configuration.
        """
        if self._child is None or not self._child.alive:  # killed from outside while idle: no configuration's fault
            self.close()
            self._child = self._start()
        self._child.wait_ready()
        request = {
            "template": space.template,
            "workload": space.workload.to_dict(),
            "knobs": space.decode(index),
            "target": target.to_dict(),
            "part": part,
        }
        begin = time.monotonic()
        try:
            answer, library = self._child.call(request, b"", timeout_s)
            error = answer.get("error", "")
            found: dict[str, Any] = {
                "resources": tuple(Resources(**used) for used in answer.get("resources", ())),
                "launches": tuple(map(Launch.of, answer.get("launches", ()))),
                "workspaces": tuple(answer.get("workspaces", ())),
            }
            status = Status.BUILD_ERROR if error else Status.OK
        except (ChildHung, ChildDied) as failure:
            self.close()
            status = Status.BUILD_TIMEOUT if isinstance(failure, ChildHung) else Status.BUILD_ERROR
            error, library, found = str(failure), b"", {}
        except BaseException:
            self.close()
            raise
        build_s = time.monotonic() - begin
        return Built(status=status, library=library, error=error, build_s=build_s, **found)

    def close(self) -> None:
        """Ends the child; may be called twice, and from another thread to end a build."""
        if self._child:
            self._child.kill()
        self._child = None

    @staticmethod
    def _start() -> Child:
        return Child("raydgp.run.build_child", env=thread_environment(1))
