"""A tuned model for users of TVM without us, and MetaSchedule databases, ours and others', as history."""

import json
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import tvm
from torch import nn
from tvm import te, topi
from tvm.relax.frontend.torch import from_exported_program
from tvm.s_tir import Schedule
from tvm.s_tir.meta_schedule.arg_info import ArgInfo
from tvm.s_tir.meta_schedule.database import JSONDatabase, TuningRecord

from raydgp.errors import InputError
from raydgp.models import databases
from raydgp.models.folder import PARAMETERS, SAMPLE
from raydgp.models.folding import fold_batch_norms
from raydgp.models.interchange import EXAMPLE, MODULE, RECORDS, WORKLOADS, export
from raydgp.models.lowering import lower
from raydgp.records import Status
from raydgp.targets import Target
from raydgp.targets.compiler import to_tvm
from raydgp.templates.spaces import config_space
from raydgp.templates.traced.extract import kernel
from raydgp.templates.traced.schedule import TracedTemplate

TARGET = Target.here("llvm")
WITHOUT_US = """
import runpy, sys, tvm
sys.modules["raydgp"] = None
module = runpy.run_path(sys.argv[1])["module"]
kernels = [f for f in module.functions.values() if isinstance(f, tvm.tirx.PrimFunc)]
print(len(kernels), sum("tirx.is_scheduled" in f.attrs for f in kernels))
"""


class Small(nn.Module):
    """A residual, a depthwise convolution, a pool, a dense layer and a softmax."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 16, 3, 2, 1), nn.Conv2d(16, 16, 3, 1, 1)
        self.deep, self.dense = nn.Conv2d(16, 16, 3, 1, 1, groups=16), nn.Linear(16, 10)

    def forward(self, x):
        x = nn.functional.max_pool2d(torch.relu(self.first(x)), 2)
        x = nn.functional.relu6(self.deep(torch.relu(self.second(x) + x)))
        return torch.softmax(self.dense(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1)), 1)


def chosen(workload):
    """A configuration that is not the default."""
    space = config_space(workload, "llvm")
    return int(space.sample_valid(1, np.random.default_rng(1))[0])


def choose(layer):
    """By Winograd's algorithm where that serves."""
    workload = layer
    with suppress(InputError):
        config_space(replace(layer, algorithm="winograd"), "llvm")
        workload = replace(layer, algorithm="winograd")
    return workload, config_space(workload, "llvm").decode(chosen(workload))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A folder with a model in which one kernel was not measured, and the model as lowered."""
    folder = tmp_path_factory.mktemp("deployed")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, x = Small().eval(), torch.randn(1, 3, 32, 32)
    program = torch.export.export(model, (x,))
    module = from_exported_program(program, keep_params_as_input=False, unwrap_unit_return_tuple=True)
    lowered = lower(fold_batch_norms(module), TARGET, choose)
    workloads = [task.workload for task in lowered.tasks]
    assert any("winograd" in str(workload) for workload in workloads)
    for _ in range(2):  # the second one replaces what the first one wrote
        seconds = {workload: 1e-6 * (1 + place) for place, workload in enumerate(workloads[1:])}
        export(folder, lowered, TARGET, chosen, seconds.get)
    parameters: dict[str, Any] = {f"p{k}": array for k, array in enumerate(lowered.parameters)}
    np.savez(folder / PARAMETERS, **parameters)
    np.savez(folder / SAMPLE, input0=x.numpy(), output0=model(x).detach().numpy())
    return folder, workloads


def test_tvm_alone_finds_every_kernel_and_gives_torchs_numbers(exported, tmp_path):
    folder, workloads = exported
    away = shutil.copytree(folder, tmp_path / "elsewhere")
    command = [sys.executable, "-I", "-c", WITHOUT_US, str(away / EXAMPLE)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "not found" not in (done.stdout + done.stderr).lower()
    answer, kernels = done.stdout.splitlines()
    assert kernels == f"{len(workloads)} {len(workloads)}"
    with np.load(folder / SAMPLE) as sample:
        largest = np.abs(sample["output0"]).max()
    assert float(answer.split()[-1]) <= 1e-4 * largest


def test_our_own_records_come_back(exported):
    folder, workloads = exported
    found = databases.scan(folder, "here")
    assert [(line.line, line.reason) for line in found.quarantined] == [(1, "not measured")]
    for place, (record, workload) in enumerate(zip(found.records, workloads[1:], strict=True)):
        space = config_space(workload, "llvm")
        assert (record.context.workload, record.context.space_hash) == (workload.to_dict(), space.hash)
        assert (record.measurement.index, space.encode(record.knobs)) == (chosen(workload),) * 2
        assert record.measurement.times_s == pytest.approx((1e-6 * (1 + place),))
        assert record.context.target == TARGET
        assert record.measurement.device["name"] == "here"


def test_what_cannot_be_read_is_left_out_by_line(exported, tmp_path):
    folder, _ = exported
    (layer,) = [line for line in (folder / RECORDS).read_text().splitlines() if "depthwise_conv2d" in line]
    older = layer.replace('space_hash\\": \\"', 'space_hash\\": \\"0')
    assert older != layer
    shutil.copy(folder / WORKLOADS, tmp_path)
    (tmp_path / RECORDS).write_text("\n".join([older, "[1, 2", '{"a": 1}', "[99, [[[], []], [1.0], {}, []]]"]))
    found = databases.scan(tmp_path, "here")
    assert not found.records
    reasons = ["of another version of llvm.depthwise_conv2d_nchwc.v1", *["not a tuning record"] * 2]
    reasons.append("target: no kind in {}; name one of llvm, cuda")
    assert [line.reason for line in found.quarantined] == reasons


def matrix_product():
    a, b = te.placeholder((8, 32), name="a"), te.placeholder((32, 48), name="b")
    return te.create_prim_func([a, b, topi.nn.relu(topi.matmul(a, b))])


def test_records_of_others_are_ours_where_the_schedule_is(tmp_path):
    """What MetaSchedule records has our sketches' instructions, other decisions, and then its postprocessors'."""
    function = matrix_product()
    workload = kernel("T_matmul_compute", function, TARGET)
    space = config_space(workload, "llvm")
    module, database = tvm.IRModule({"main": function}), JSONDatabase(work_dir=str(tmp_path))
    entry, arguments = database.commit_workload(module), ArgInfo.from_entry_func(module)

    def commit(trace, seconds):
        database.commit_tuning_record(TuningRecord(trace, entry, [seconds], to_tvm(TARGET), arguments))

    indices = space.sample_valid(5, np.random.default_rng(0)).tolist()
    for index in indices:
        commit(
            TracedTemplate().scheduled(workload, space.decode(index), TARGET).trace,
            1e10 if index == indices[0] else 1e-5,
        )
    own = Schedule(module)
    own.parallel(own.get_loops("T_matmul")[0])
    commit(own.trace, 1e-5)
    with (tmp_path / RECORDS).open("a") as file:
        last = (tmp_path / RECORDS).read_text().splitlines()[-1]
        file.write(last.replace("T_matmul", "T_other") + "\n")
        file.write(last.replace('"llvm"', '"cuda"') + "\n")

    found = databases.scan(tmp_path, "there")
    assert [record.measurement.index for record in found.records] == indices
    assert {record.context.space_hash for record in found.records} == {space.hash}
    failed, *good = [record.measurement for record in found.records]
    assert (failed.status, failed.times_s) == (Status.RUN_ERROR, ())
    assert all(measured.times_s == (1e-5,) for measured in good)
    reasons = ["no schedule of ours has its instructions", "its trace does not fit its kernel", "only records of llvm"]
    for line, reason in zip(found.quarantined, reasons, strict=True):
        assert reason in line.reason


def test_a_folder_without_a_database_is_bad_input(tmp_path):
    with pytest.raises(InputError, match="no MetaSchedule database"):
        databases.scan(tmp_path, "here")


def test_the_module_takes_the_parameters_as_arguments(exported):
    folder, _ = exported
    module = tvm.ir.load_json((folder / MODULE).read_text())
    with np.load(folder / PARAMETERS) as parameters:
        assert len(module["main"].params) == 1 + len(parameters.files)
    assert json.loads((folder / RECORDS).read_text().splitlines()[0])
