"""The pool: the one scheduler of builds and runs. It knows faults, not searches."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raydgp.cluster.backend import Backend
from raydgp.cluster.builds import builder
from raydgp.cluster.lines import Logging
from raydgp.cluster.node_lock import NodeLock
from raydgp.cluster.pool_settings import PoolSettings
from raydgp.cluster.resources import fitting, places, ray_options
from raydgp.cluster.runner import Runner
from raydgp.cluster.runner_slot import Call, Lost, RunnerSlot, one_line
from raydgp.errors import RaydgpError, RunnersLost
from raydgp.records import Measurement, Phases, Resources, Status
from raydgp.registry import adopt
from raydgp.run.builder import Built
from raydgp.run.hopeless import BuildTimes
from raydgp.run.supervisor import Result
from raydgp.targets import Target
from raydgp.templates.spaces import config_space
from raydgp.workloads import from_dict

_GATHER_S = 0.01  # measurements that end within it are handed over, and journalled, together
_ACCELERATOR = "ray.io/accelerator-type"


class RunnerPool(Logging):
    """Measures configurations on the runners of a cluster.

    Where kernels run on the processors that build them, a lock for each node keeps the two apart. On GPUs they overlap
    freely.
    """

    def __init__(self, settings: PoolSettings, backend: Backend) -> None:
        self._settings, self._backend = settings, backend
        adopt(settings.parts)
        self._shared_backend, self._nothing = ray.put(backend), ray.put(b"")
        self._builders: dict[str | None, Any] = {}
        self._build_times = BuildTimes()
        self._slots: list[RunnerSlot] = []
        self._node_locks: dict[str, NodeLock] = {}
        self._ready: deque[Call] = deque()
        self._about: dict[str, Any] | None = None
        self._admitted = asyncio.Event()
        self._last_open_s = time.monotonic()
        self._lost: RaydgpError | None = None
        self._watch = asyncio.get_running_loop().create_task(self._look_around())

    # --- what callers use

    async def describe(self) -> dict[str, Any]:
        """Waits for the first runner: its target, device, versions and node.

        Raises:
            InputError: none can ever start: no such device, or fewer cores than threads.
            RunnersLost: none started in time.
        """
        while self._about is None:
            self._admitted.clear()
            if self._lost:
                raise self._lost
            await self._admitted.wait()
        return self._about

    async def measure_all(self, workload: dict[str, Any], indices: list[int]) -> AsyncIterator[list[dict[str, Any]]]:
        """Measures many at a time; yields, until all are there, those that ended since the last yield.

        One call for a batch, because calls are what a cluster costs: a third of a millisecond of processor time each on
        both sides.

        Raises:
            RunnersLost, NoReference: as `measure`.
        """
        pending = {asyncio.ensure_future(self.measure(workload, index)) for index in indices}
        while pending:
            ended, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            if pending:
                more, pending = await asyncio.wait(pending, timeout=_GATHER_S)
                ended |= more
            yield [task.result() for task in ended]

    async def measure(self, workload: dict[str, Any], index: int) -> dict[str, Any]:
        """Builds and runs one configuration: `Measurement.to_dict()`, whatever the configuration does.

        Raises:
            RunnersLost: no runner is left; says nothing about the configuration.
            NoReference: no configuration of the workload can be checked.
        """
        about = await self.describe()
        began = time.monotonic()
        space = config_space(from_dict(workload), about["target"])
        if not space.valid(np.array([index]))[0]:
            refused = Result(status=Status.INVALID, error=f"statically invalid on {self._settings.target}")
            return _measurement(index, refused, about, 0.0, began)
        build_s, losses, avoid = 0.0, 0, None
        while True:
            built, library = await self._build(workload, space.hash, index, about["target"])
            build_s += built.build_s
            if built.status is not Status.OK:
                return _measurement(index, Result(status=built.status, error=built.error), about, build_s, began)
            call = Call(workload, index, library, avoid)
            try:
                result, runner = await self._run(call)
                return _measurement(index, result, runner, build_s, began, built.resources)
            except Lost as lost:
                losses, avoid = losses + lost.blamed, call.avoid
                if losses == 2:
                    error = f"two runners were lost in its run: {lost}"
                    lost_twice = Result(status=Status.RUNNER_LOST, error=error)
                    return _measurement(index, lost_twice, about, build_s, began, built.resources)

    async def enter(self, node_id: str) -> None:
        """Waits until a node's processors are free of runs and keeps them so until `leave`: for what searches think."""
        if node_lock := self._node_locks.get(node_id):
            await node_lock.enter_together()

    async def leave(self, node_id: str) -> None:
        if node_lock := self._node_locks.get(node_id):
            node_lock.leave_together()

    # --- builds and runs

    async def _build(
        self, workload: dict[str, Any], space_hash: str, index: int, target: Target
    ) -> tuple[Built, ray.ObjectRef]:
        if self._backend.build is None:
            return Built(status=Status.OK), self._nothing
        timeout_s = self._settings.measure.build_timeout_s
        if self._settings.measure.stop_hopeless:
            timeout_s = self._build_times.limit_s(space_hash, timeout_s)
        limits_s = [timeout_s, timeout_s + self._settings.grace_s]
        node_locks = {slot.node_id: slot.node_lock for slot in self._slots if slot.node_id and slot.node_lock}
        node_id = min(node_locks, key=lambda node_id: node_locks[node_id].load, default=None)
        async with node_locks[node_id].together() if node_id else nullcontext():
            began = time.monotonic()
            task = self._builders.get(node_id) or self._builders.setdefault(node_id, builder(node_id))
            outcome, library = task.remote(self._shared_backend, workload, index, target, limits_s)
            try:
                built: Built = await outcome
                self._build_times.add(space_hash, built)
                return built, library
            except RayError as failure:
                build_s = time.monotonic() - began
                if build_s < limits_s[1]:
                    return Built(status=Status.BUILD_ERROR, error=one_line(failure), build_s=build_s), library
                error = "the building process hung and was killed"
                return Built(status=Status.BUILD_TIMEOUT, error=error, build_s=build_s), library

    async def _run(self, call: Call) -> tuple[Result, dict[str, Any]]:
        """The result and who gave it.

        Raises:
            Lost, RunnersLost, NoReference
        """
        if self._lost:
            raise self._lost
        self._ready.append(call)
        self._dispatch()
        return await call.outcome

    def _dispatch(self) -> None:
        """Hands ready calls to runners with room, the least busy first, rather not to one that was lost with it."""
        while self._ready:
            call = self._ready[0]
            free = [slot for slot in self._slots if slot.has_room]
            for slot in sorted(free, key=lambda slot: (slot.load, slot is call.avoid)):
                if slot.submit(call):
                    self._ready.popleft()
                    break
            else:
                return

    # --- runners

    def _changed(self, slot: RunnerSlot) -> None:
        if slot.is_open and slot.about:
            self._last_open_s = time.monotonic()
            if self._about is None:
                self._about = slot.about
                self._admitted.set()
            if _alike(slot.about) != _alike(self._about):
                slot.close("its device is not of the first runner's kind")
        self._dispatch()

    async def _look_around(self) -> None:
        """Opens slots where nodes come, drops those whose node went, gives up when no runner was there for long."""
        try:
            while True:
                alive = {node["NodeID"]: node for node in ray.nodes() if node["Alive"]}
                for slot in self._slots:
                    if slot.node_id and slot.node_id not in alive:
                        slot.close("its node is gone")
                self._slots = [slot for slot in self._slots if slot.node_id is None or slot.node_id in alive]
                self._slots += self._new_slots(alive)
                if self._about is None and any(slot.fault for slot in self._slots):
                    return
                self._dispatch()
                now_s = time.monotonic()
                self._last_open_s = now_s if any(slot.is_open for slot in self._slots) else self._last_open_s
                if now_s - self._last_open_s > self._settings.patience_s:
                    return
                await asyncio.sleep(self._settings.scan_s)
        finally:
            self._give_up()

    def _new_slots(self, alive: dict[str, dict[str, Any]]) -> list[RunnerSlot]:
        """A slot for each place on nodes with processors, or for each device, as far as there is none yet."""
        if resources := self._settings.resources:
            devices = sum(fitting(resources, node["Resources"]) for node in alive.values())
        elif resource := self._settings.kind.resource:
            devices = sum(int(node["Resources"].get(resource, 0)) for node in alive.values() if self._wanted(node))
        else:
            return self._new_places(alive)
        room = (self._settings.runners or max(1, devices)) - len(self._slots)
        return [self._slot(None) for _ in range(room)]

    def _new_places(self, alive: dict[str, dict[str, Any]]) -> list[RunnerSlot]:
        told = {slot.node_id: slot.about["places"] for slot in self._slots if slot.node_id and slot.about}
        served = {(slot.node_id, slot.place) for slot in self._slots}
        free = [each for each in places(alive, told) if each not in served]
        room = self._settings.runners - len(served) if self._settings.runners else len(free)
        return [self._slot(*each) for each in free[: max(0, room)]]

    def _wanted(self, node: dict[str, Any]) -> bool:
        return self._settings.accelerator in (None, node["Labels"].get(_ACCELERATOR))

    def _slot(self, node_id: str | None, place: int = 0) -> RunnerSlot:
        settings = self._settings
        options: dict[str, Any] = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": 0}
        if node_id:
            options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(node_id, soft=False)
        elif settings.resources:
            options |= ray_options(settings.resources)
        else:
            options |= settings.kind.runner_options
        if settings.accelerator:
            options["label_selector"] = {_ACCELERATOR: settings.accelerator}
        node_lock = self._node_locks.setdefault(node_id, NodeLock(self._dispatch)) if node_id else None
        runner: Any = ray.remote(Runner)
        told = (settings.target, settings.measure, self._backend, settings.parts, settings.cores_per_runner, place)
        return RunnerSlot(
            lambda: runner.options(**options).remote(*told),
            settings.measure.run_timeout_s + settings.grace_s,
            self._changed,
            node_id,
            node_lock,
            place,
        )

    def _give_up(self) -> None:
        faults = [slot.fault for slot in self._slots if slot.fault]
        reasons = [slot.reason for slot in self._slots if slot.reason] or ["none started"]
        self._lost = (self._about is None and faults and faults[0]) or RunnersLost(
            f"no {self._settings.target} runner for {self._settings.patience_s:g} s ({reasons[-1]}); "
            "bring nodes back and run the same command again to resume"
        )
        self._admitted.set()
        while self._ready:
            self._ready.popleft().outcome.set_exception(self._lost)


def _alike(about: dict[str, Any]) -> tuple[Any, ...]:
    """Returns what runners must share: the target, and what else makes devices of it differ in speed."""
    target: Target = about["target"]
    return target, target.behaviour.alike(about["device"])


def _measurement(
    index: int,
    result: Result,
    about: dict[str, Any],
    build_s: float,
    began_s: float,
    resources: tuple[Resources, ...] = (),
) -> dict[str, Any]:
    queue_s = max(0.0, time.monotonic() - began_s - build_s - result.run_s)
    return Measurement(
        index=index,
        status=result.status,
        times_s=result.times_s,
        phases=Phases(build_s=build_s, queue_s=queue_s, run_s=result.run_s),
        error=result.error,
        device=about["device"],
        versions=about["versions"],
        time_unix_s=time.time(),
        resources=resources,
        conditions=result.conditions,
    ).to_dict()
