"""The kind `llvm`: this machine's processor, and others by LLVM's name of them."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

from raydgp.errors import InputError, nearest
from raydgp.sandbox.cpus import cache_bytes, own_cores
from raydgp.targets.kinds import Kind
from raydgp.targets.llvm.architectures import BASELINE, TRIPLES, Vectors, names, triple_of, vectors_of
from raydgp.targets.target import Target, frozen


class Llvm(Kind):
    """Kernels as native code for processors."""

    name = "llvm"
    parts = Kind.build
    traced = "raydgp.templates.traced.cpu:CpuRules"
    peak = "raydgp.run.peak:peak_of"

    def here(self) -> Target:
        from raydgp.targets.llvm import query  # loads TVM

        attributes = {"mcpu": query.system_cpu(), "num-cores": len(own_cores())}
        return self._target(attributes, cache_bytes(), query.features(attributes))

    def restricted(self, architecture: str) -> Target:
        from raydgp.targets.llvm import query  # loads TVM

        named = dict(self.named(architecture).attributes)
        own = query.system_cpu()
        if "mtriple" in named:  # of another instruction set
            raise InputError(f"target llvm/{architecture}: its code does not run on {own}, which is here")
        attributes = {**named, "num-cores": len(own_cores())}
        if lacking := query.vector_features(attributes) - query.vector_features({"mcpu": own}):
            raise InputError(f"target llvm/{architecture}: {own}, which is here, has no {', '.join(sorted(lacking))}")
        return self._target(attributes, cache_bytes(), query.features(attributes))

    def from_attributes(self, attributes: Mapping[str, Any]) -> Target:
        return self._target(attributes, (), frozenset())

    def architectures(self) -> tuple[str, ...]:
        return names()

    def named(self, architecture: str) -> Target:
        """LLVM's name of a processor. One of another instruction set than this machine's says for what system, too."""
        triple = triple_of(architecture)
        if triple is None:
            from raydgp.targets.llvm import query  # loads TVM

            triple = next((triple for triple in TRIPLES.values() if query.knows(architecture, triple)), None)
        if triple is None:
            raise InputError(f"target llvm: unknown architecture {architecture!r}{nearest(architecture, names())}")
        foreign = triple != TRIPLES.get(platform.machine())
        return self.from_attributes({"mcpu": architecture, **({"mtriple": triple} if foreign else {})})

    def intrinsics(self) -> tuple[str, ...] | None:
        return ("x86",) if platform.machine() == "x86_64" else None

    def _target(self, attributes: Mapping[str, Any], cache_bytes: tuple[int, ...], features: frozenset[str]) -> Target:
        mcpu = attributes.get("mcpu", "")
        vectors = _vectors(mcpu, attributes) if mcpu else BASELINE
        return Target(
            kind=self.name,
            attributes=frozen(attributes),
            architecture=mcpu,
            instruction_set=vectors.instruction_set,
            vector_bits=vectors.bits,
            vector_registers=vectors.registers,
            cache_bytes=cache_bytes,
            cores=attributes.get("num-cores"),
            features=features,
        )


def _vectors(mcpu: str, attributes: Mapping[str, Any]) -> Vectors:
    """The vector unit by the table, or what LLVM says of an architecture that the table lacks."""
    if found := vectors_of(mcpu):
        return found
    from raydgp.targets.llvm import query  # loads TVM

    return query.vectors(attributes)


LLVM = Llvm()
