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


@pytest.fixture
def sockets(tmp_path, monkeypatch):
    """Two sockets of 32 cores with two threads each, numbered as Linux does: the second threads come last."""
    monkeypatch.setattr(cpus, "QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(cpus, "TOPOLOGY", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(128)))
    for cpu in range(128):
        (tmp_path / f"cpu{cpu}" / "topology").mkdir(parents=True)
        (tmp_path / f"cpu{cpu}" / f"node{cpu % 64 // 32}").mkdir()
        (tmp_path / f"cpu{cpu}" / "topology" / "thread_siblings_list").write_text(f"{cpu % 64},{cpu % 64 + 64}\n")
    return tmp_path


@pytest.mark.parametrize("size", [1, 3, 16, 20, 32])
def test_groups_of_cores_lie_in_one_numa_node_each(sockets, size):
    groups = cpus.core_groups(size)
    assert len(groups) == 2 * (32 // size)
    assert {len(group) for group in groups} == {size}
    assert all(len({cpu // 32 for cpu in group}) == 1 and max(group) < 64 for group in groups)
    assert len({cpu for group in groups for cpu in group}) == size * len(groups)


def test_a_group_that_no_numa_node_holds_takes_from_both_and_one_too_large_is_none(sockets):
    assert cpus.core_groups(64) == [list(range(64))]
    assert cpus.core_groups(40) == [list(range(40))]
    assert cpus.core_groups(65) == []


def test_groups_are_made_of_what_a_scheduler_and_a_quota_leave(sockets, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {30, 31, 32, 33, 94, 95})
    assert cpus.core_groups(2) == [[30, 31], [32, 33]]
    (sockets / "cpu.max").write_text("350000 100000\n")
    assert cpus.core_groups(1) == [[30], [31], [32]]
    (sockets / "cpu.max").write_text("50000 100000\n")
    assert cpus.core_groups(1) == [[30]]


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
