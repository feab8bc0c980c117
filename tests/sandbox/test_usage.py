"""What a machine uses: figures that psutil has, too, and none of GPUs where there are none."""

import psutil

from raydgp.sandbox.usage import Usage


def test_a_machine_is_seen_as_psutil_sees_it() -> None:
    machine = Usage()
    sum(range(1_000_000))
    used = machine.now()
    assert 0 < used["cpu_utilization_percentage"] <= 100
    memory = psutil.virtual_memory()
    assert abs(used["system_memory_usage_percentage"] - 100 * memory.used / memory.total) < 20
    assert 0 < used["system_memory_usage_megabytes"] < memory.total / 1e6
