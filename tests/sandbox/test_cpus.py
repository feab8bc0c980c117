import os
import platform

import pytest

from raydgp.sandbox import cpus


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Processors 3 to 6, of which 3 and 5, and 4 and 6 are threads of one core."""
    monkeypatch.setattr(cpus, "QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(cpus, "TOPOLOGY", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {6, 3, 5, 4})
    for cpu, siblings in {3: "3,5", 4: "4,6", 5: "3,5", 6: "4,6"}.items():
        folder = tmp_path / f"cpu{cpu}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{siblings}\n")
    return tmp_path


def test_one_processor_stands_for_each_core(machine):
    assert cpus.own_cpus() == [3, 4, 5, 6]
    assert cpus.own_cores() == [3, 4]


def test_where_nothing_tells_every_processor_is_a_core(machine, monkeypatch):
    monkeypatch.setattr(cpus, "TOPOLOGY", machine / "nowhere")
    assert cpus.own_cores() == [3, 4, 5, 6]


@pytest.mark.parametrize(
    ("quota", "count"), [("max 100000", 4), ("250000 100000", 2), ("50000 100000", 1), ("900000 100000", 4)]
)
def test_a_quota_of_the_container_limits_them(machine, quota, count):
    (machine / "cpu.max").write_text(f"{quota}\n")
    assert cpus.own_cpus() == [3, 4, 5, 6][:count]
    assert cpus.own_cores() == [3, 4][:count]


@pytest.mark.parametrize(
    ("text", "name", "flags"),
    [
        ("model name\t: AMD EPYC\nflags\t\t: fpu avx2\n\nmodel name\t: other\n", "AMD EPYC", {"fpu", "avx2"}),
        ("BogoMIPS\t: 50.00\nFeatures\t: fp asimd\n", platform.machine(), {"fp", "asimd"}),
        (None, platform.machine(), set()),
    ],
    ids=["x86", "arm", "no such file"],
)
def test_the_processor_is_described_by_what_linux_says_of_it(text, name, flags, tmp_path, monkeypatch):
    monkeypatch.setattr(cpus, "CPUINFO", tmp_path / "cpuinfo")
    if text:
        cpus.CPUINFO.write_text(text)
    assert (cpus.cpu_name(), cpus.cpu_flags()) == (name, flags)
