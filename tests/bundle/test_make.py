"""Bundles made: what is in them computes the layer, a kill costs a chunk, a failing compiler a kernel."""

import json
import lzma
import signal
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tvm

from raydgp.build.cuda import compiler as cuda_compiler
from raydgp.bundle import make as making
from raydgp.bundle.inputs import logical_inputs
from raydgp.bundle.make import make
from raydgp.bundle.reading import Bundle
from raydgp.bundle.runner.archive import CODES
from raydgp.bundle.work import Work
from raydgp.errors import InputError, RaydgpError
from raydgp.run.timing import load
from raydgp.targets import Target
from raydgp.templates import Layout
from raydgp.templates.spaces import config_space
from raydgp.workloads import from_dict, zoo
from tests.support.fake_builders import SMALL, FakeBuilders, plan
from tests.support.processes import python, start_python

SPACE = config_space(next(task.workload for task in zoo.tasks("resnet18") if task.name == "rb4-sc"), "cuda/sm_90")


@pytest.fixture
def fake(monkeypatch):
    """Builds that cost nothing, four kernels a chunk."""
    monkeypatch.setattr(FakeBuilders, "failing", set())
    monkeypatch.setattr(FakeBuilders, "asked", [])
    monkeypatch.setattr(making, "Builders", FakeBuilders)
    monkeypatch.setattr(making, "CHUNK", 4)
    return FakeBuilders


def content(path):
    """All that a bundle says but when it was made."""
    with Bundle(path) as bundle:
        tasks = bundle.header.tasks
        kernels = [kernel for task in tasks for kernel in bundle.kernels(task)]
        return tasks, kernels, [bundle.code(kernel.code) for kernel in kernels if kernel.code]


def test_a_bundles_kernels_compute_their_layers_from_what_it_says_alone(tmp_path):
    """As a runner does: inputs made anew, laid out by the steps, the output laid out and compared where it is known."""
    tasks = [SMALL | {"draws": 2}, {"layer": "resnet18/rb4-conv2", "algorithm": "winograd"}]
    made = make(plan(*tasks, target="llvm"), tmp_path / "x.bundle", carry_runner=False)
    assert (made.tasks, made.kernels, made.failed) == (2, 4, {})
    with Bundle(made.path) as bundle:
        assert Target.from_dict(bundle.header.target) == Target.here("llvm")
        assert list(bundle.header.runtime) == ["libtvm_ffi.so", "libtvm_runtime.so"]
        assert bundle.library("libtvm_runtime.so").startswith(b"\x7fELF")
        for task in bundle.header.tasks:
            space = config_space(from_dict(task.workload), "llvm", "winograd" if "winograd" in task.name else "direct")
            positions, values = bundle.expected(task)
            assert task.default == 0
            for kernel in bundle.kernels(task):
                steps = [Layout(task.layouts[number]) for number in kernel.layouts]
                inputs = [layout.apply(x) for layout, x in zip(steps, logical_inputs(task.inputs), strict=True)]
                out = tvm.runtime.tensor(np.full(kernel.out_shape, np.nan, kernel.out_dtype))
                load(bundle.code(kernel.code))["main"](*map(tvm.runtime.tensor, inputs), out)
                actual = Layout(task.layouts[kernel.out]).apply(out.numpy())
                assert actual.shape == task.output
                np.testing.assert_allclose(actual.ravel()[positions], values, rtol=0, atol=1e-4 * np.abs(values).max())
                assert space.encode(kernel.knobs) == kernel.index
            assert task.space_hash == space.hash


@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
def test_a_gpus_kernels_come_as_cubins_with_their_launches(arch, tmp_path):
    try:
        cuda_compiler.compiler_for(arch)
    except InputError as error:
        pytest.skip(str(error))
    tasks = [
        SMALL | {"draws": 1},
        *({"layer": "resnet18/rb4-conv2", "algorithm": a} for a in ("winograd", "tensor_core")),
    ]
    made = make(plan(*tasks, target=f"cuda/{arch}"), tmp_path / "x.bundle", carry_runner=False)
    assert not made.failed
    with Bundle(made.path) as bundle:
        assert bundle.header.runtime == {}
        for task in bundle.header.tasks:
            for kernel in bundle.kernels(task):
                code = bundle.code(kernel.code)
                assert all(b".text." + launch.kernel.encode() in code for launch in kernel.launches)
                buffers = len(task.inputs) + 1 + len(kernel.workspaces)
                assert {number for launch in kernel.launches for number in launch.arguments} == set(range(buffers))
                assert len(kernel.resources) == len(kernel.launches)
        winograd, tensor_core = bundle.header.tasks[1:]
        (exact, rounded) = (bundle.expected(task)[1] for task in (winograd, tensor_core))
        assert 0 < np.abs(exact - rounded).max() < 2e-3 * np.abs(exact).max()  # what float16 inputs give


def test_nothing_in_it_is_executable_python_or_pickled(fake, tmp_path):
    made = make(plan(SMALL | {"draws": 9}), tmp_path / "x.bundle", carry_runner=False)
    with zipfile.ZipFile(made.path) as archive:
        names = archive.namelist()
        assert {Path(name).suffix for name in names} == {".json", ".xz"}
        assert not any(archive.read(name).startswith(b"\x80") for name in names)


def test_a_code_is_there_once_however_many_kernels_and_tasks_share_it(fake, tmp_path):
    made = make(plan(SMALL | {"draws": 100}, {"layer": "resnet18/rb3-sc", "draws": 100}), tmp_path / "x", False)
    _, kernels, _ = content(made.path)
    codes = [json.loads(line)["code"] for line in lzma.decompress(zipfile.ZipFile(made.path).read(CODES)).splitlines()]
    assert 200 < len(kernels) == made.kernels <= 202
    assert set(codes) == {kernel.code for kernel in kernels}
    assert len(codes) == len({kernel.index % 50 for kernel in kernels}) <= 50


def test_the_default_that_is_not_built_is_no_default(fake, tmp_path):
    fake.failing = {SPACE.default}
    made = make(plan(SMALL | {"draws": 5}), tmp_path / "y", carry_runner=False)
    (task,), (first, *rest), codes = content(made.path)
    assert task.default is None
    assert made.failed == {"build_timeout": 1}
    assert (first.status, first.error, first.code) == ("build_timeout", "no answer within 20 s, killed", "")
    assert [kernel.status for kernel in rest] == ["ok"] * 5
    assert len(codes) == 5


def test_where_nothing_is_built_the_reason_is_told(fake, tmp_path):
    fake.failing = {SPACE.default}
    with pytest.raises(RaydgpError, match="resnet18/rb4-sc: none of 1 kernels can be built: no answer within 20 s"):
        make(plan(SMALL), tmp_path / "y", carry_runner=False)


class Stopped(Exception):
    pass


def test_the_same_call_goes_on_where_it_was_stopped(fake, tmp_path):
    wanted = plan(SMALL | {"draws": 17})
    whole = content(make(wanted, tmp_path / "whole", carry_runner=False).path)
    asked, fake.asked = list(fake.asked), []

    def stop(done, total):
        if done == 11:
            raise Stopped

    with pytest.raises(Stopped):
        make(wanted, tmp_path / "x", False, stop)
    assert not (tmp_path / "x").exists()
    fake.asked.clear()
    told = []
    made = make(wanted, tmp_path / "x", False, lambda done, total: told.append((done, total)))
    assert told[0] == (8, 18)
    assert told[-1] == (18, 18)
    assert fake.asked == asked[8:]
    assert content(made.path) == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["whole", "x"]


def test_a_chunk_that_is_not_whole_is_built_again(fake, tmp_path):
    wanted = plan(SMALL | {"draws": 17})
    whole = content(make(wanted, tmp_path / "whole", carry_runner=False).path)

    def stop(done, total):
        if done == 15:
            raise Stopped

    with pytest.raises(Stopped):
        make(wanted, tmp_path / "x", False, stop)
    (tmp_path / "x.work" / "1.json.xz").write_bytes(b"torn")
    (tmp_path / "x.work" / "2.block.xz").unlink()
    fake.asked.clear()
    assert content(make(wanted, tmp_path / "x", carry_runner=False).path)[1:] == whole[1:]
    assert len(fake.asked) == 18 - 4


KILLED = """
import sys, time
from pathlib import Path
from raydgp.bundle import make as making
from raydgp.settings import BundleSettings
from tests.support.fake_builders import SMALL, FakeBuilders, plan
making.Builders, making.CHUNK = FakeBuilders, 4
def slow(done, total):
    print(done, flush=True)
    time.sleep(0.05)
making.make(plan(SMALL | {"draws": 400}), Path(sys.argv[1]), False, slow)
"""


def test_a_kill_costs_at_most_the_chunk_under_way(fake, tmp_path):
    with start_python("-c", KILLED, str(tmp_path / "x")) as child:
        assert child.stdout
        while (line := child.stdout.readline()) and int(line) < 22:
            pass
        child.send_signal(signal.SIGKILL)
        built = int((child.stdout.read().split() or [line])[-1])
    told = []
    wanted = plan(SMALL | {"draws": 400})
    made = make(wanted, tmp_path / "x", False, lambda done, total: told.append(done))
    assert built - 8 <= told[0] <= built
    assert content(made.path)[1:] == content(make(wanted, tmp_path / "whole", carry_runner=False).path)[1:]


def test_the_work_of_another_plan_is_not_mixed_in(fake, tmp_path):
    def stop(done, total):
        if done == 5:
            raise Stopped

    with pytest.raises(Stopped):
        make(plan(SMALL | {"draws": 17}), tmp_path / "x", False, stop)
    with pytest.raises(InputError, match=r"x\.work is of another plan or version; choose another --out, or delete it"):
        make(plan(SMALL | {"draws": 17}, seed=1), tmp_path / "x", carry_runner=False)


def test_two_at_a_time_are_told_of_each_other(fake, tmp_path):
    with Work(tmp_path / "x", {}), pytest.raises(InputError, match=r"x is being made: .* held by process"):
        Work(tmp_path / "x", {})


def test_a_place_that_cannot_be_written_is_told_before_anything_is_built(fake, tmp_path):
    (tmp_path / "file").write_text("")
    for out, message in ((tmp_path, "is a folder"), (tmp_path / "file" / "x", "choose another --out")):
        with pytest.raises(InputError, match=message):
            make(plan(SMALL), out, carry_runner=False)
    assert fake.asked == []


def test_the_command_says_what_it_made_and_what_is_wrong(tmp_path):
    (tmp_path / "good.yaml").write_text("target: llvm\ntasks:\n  - {layer: resnet18/rb4-sc}\n")
    (tmp_path / "bad.yaml").write_text("target: cuda/sm_90\ntasks:\n  - {layer: resnet18/rb4-cs}\n")
    run = ["-m", "raydgp", "bundle", "make"]
    good = python(*run, "good.yaml", "--out", "x.bundle", "--json", cwd=tmp_path)
    said = json.loads(good.stdout)
    assert (said["kernels"], said["failed"], said["size_bytes"]) == (1, {}, (tmp_path / "x.bundle").stat().st_size)
    bad = python(*run, "bad.yaml", "--out", "y.bundle", cwd=tmp_path, check=False)
    assert bad.returncode == 2
    assert bad.stderr == "raydgp: tasks.0: resnet18 has no task 'rb4-cs'; did you mean 'rb4-sc'?\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.yaml", "good.yaml", "x.bundle"]
