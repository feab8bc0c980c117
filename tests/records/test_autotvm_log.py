"""Logs of AutoTVM as history: the same configurations by the same numbers; what does not fit is passed over by line."""

import json
from typing import Any

import numpy as np
import pytest

from raydgp.errors import InputError
from raydgp.records import Status
from raydgp.records.frames import write_parquet
from raydgp.records.importers.autotvm_log import scan
from raydgp.surrogates.sources import gather
from raydgp.targets import Target
from raydgp.templates.spaces import config_space
from raydgp.workloads import Conv2d, Dense, DepthwiseConv2d, GroupConv2d
from tests.support.foreign_files import line

SAME: dict[str, Any] = {"kh": 3, "kw": 3, "padding": (1, 1)}
CONV = Conv2d(n=1, ci=16, h=14, w=14, co=32, **SAME)
DEPTHWISE = DepthwiseConv2d(n=1, ci=512, h=14, w=14, kh=3, kw=3, stride=(2, 2), padding=(1, 1))
GROUPED = GroupConv2d(n=1, ci=16, h=14, w=14, co=32, groups=4, **SAME)
SMALL, LARGE = Dense(n=1, k=512, m=1000), Dense(n=64, k=512, m=256)
TEMPLATES = {
    "conv2d_nchw.cuda": (CONV, "direct"),
    "conv2d_nchw_winograd.cuda": (CONV, "winograd"),
    "depthwise_conv2d_nchw.cuda": (DEPTHWISE, "direct"),
    "group_conv2d_nchw.cuda": (GROUPED, "direct"),
    "dense_small_batch.gpu": (SMALL, "direct"),
    "dense_large_batch.gpu": (LARGE, "direct"),
}


def written(path, *lines):
    path.write_text("".join(f"{entry if isinstance(entry, str) else json.dumps(entry)}\n" for entry in lines))
    return path


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_record_of_each_template_is_the_configuration_that_its_knobs_say(template, tmp_path):
    workload, algorithm = TEMPLATES[template]
    space = config_space(workload, "cuda", algorithm)
    index = int(space.sample(1, np.random.default_rng(0))[0])
    number = index + 17 * (template == "dense_large_batch.gpu")  # AutoTVM counts what it meant to leave out
    (record,) = scan(written(tmp_path / "log", line(template, workload, number, space.decode(index))), "V100").records
    assert (record.context.space_hash, record.measurement.index) == (space.hash, index)
    assert record.context.workload == workload.to_dict()
    assert space.encode(record.knobs) == index
    assert record.context.target == Target.from_dict({"kind": "cuda", "arch": "sm_70"})
    assert (record.measurement.device["name"], record.measurement.versions) == ("V100", {"tvm": "0.8.0"})
    assert (record.measurement.times_s, record.measurement.time_unix_s) == ((1e-3,), 1598686547.25)


def test_a_number_that_autotvm_itself_has_logged(tmp_path):
    """Entity and index of a line of a public log, for a depthwise layer of MobileNet."""
    knobs: dict[str, Any] = {"tile_f": (1, 16, 32, 1), "tile_y": (1, 1, 7, 1), "tile_x": (7, 1, 1, 1)}
    knobs |= {"auto_unroll_max_step": 0, "unroll_explicit": 0}
    entry = line("depthwise_conv2d_nchw.cuda", DEPTHWISE, 484, knobs, [1e9], 1, target="cuda -model=unknown")
    (record,) = scan(written(tmp_path / "log", entry), "V100").records
    assert (record.measurement.index, record.measurement.status) == (484, Status.INVALID)


def test_the_device_is_that_of_the_line(tmp_path):
    knobs = config_space(CONV, "cuda").decode(0)
    targets = ["cuda -model=tx2", "cuda -model=unknown", "cuda -model=1080ti -arch=sm_61", "cuda"]
    lines = [line("conv2d_nchw.cuda", CONV, 0, knobs, target=target) for target in targets]
    log = written(tmp_path / "log", *lines)
    devices = [record.measurement.device["name"] for record in scan(log, "V100").records]
    assert devices == ["tx2", "V100", "1080ti", "V100"]
    found = scan(log, None)
    assert [record.measurement.device["name"] for record in found.records] == ["tx2", "1080ti"]
    assert [(odd.line, odd.reason) for odd in found.quarantined] == [
        (number, "its target names no device by -model=; give --device") for number in (2, 4)
    ]


def test_logs_of_2018_name_the_kernels_axes_the_other_way_round(tmp_path):
    """Entity and index of a line of TopHub, for a kernel of 3 x 1 of Inception."""
    workload = Conv2d(n=1, ci=384, h=8, w=8, co=384, kh=3, kw=1, padding=(1, 0))
    knobs: dict[str, Any] = {"tile_f": (12, 2, 16, 1), "tile_y": (4, 1, 2, 1), "tile_x": (1, 1, 8, 1)}
    knobs |= {"tile_rc": (24, 16), "tile_rx": (1, 3), "tile_ry": (1, 1)}
    knobs |= {"auto_unroll_max_step": 512, "unroll_explicit": 0}
    log = written(tmp_path / "log", line("conv2d_nchw.cuda", workload, 10648394, knobs, target="cuda -model=1080ti"))
    (record,) = scan(log, None).records
    assert (record.knobs["tile_ry"], record.knobs["tile_rx"]) == ([1, 3], [1, 1])
    assert record.measurement.index == 10648394


def test_failures_are_statuses(tmp_path):
    knobs = config_space(CONV, "cuda").decode(0)
    lines = [line("conv2d_nchw.cuda", CONV, 0, knobs, [1e9], number) for number in range(9)]
    ok, *failed = [record.measurement for record in scan(written(tmp_path / "log", *lines), "V100").records]
    assert ok.times_s == (1e9,)
    assert not any(measured.times_s or measured.ok for measured in failed)
    kinds = ["invalid", "build", "build", "run", "wrong", "build", "run", "run"]
    assert [str(measured.status).split("_")[0] for measured in failed] == kinds


def with_changes(**changes):
    space = config_space(CONV, "cuda")
    return line("conv2d_nchw.cuda", CONV, 0, space.decode(0)) | changes


def test_lines_that_do_not_fit_are_passed_over_and_named(tmp_path):
    good = with_changes()
    knobs = config_space(CONV, "cuda").decode(0)
    odd = {
        "torn": json.dumps(good)[:100],
        "no object": "[1, 2]",
        "deep": "[" * 100_000,
        "version": with_changes(version=0.3),
        "target": line("conv2d_nchw.cuda", CONV, 0, knobs, target="opencl -device=mali"),
        "template": line("conv2d_NCHWc.x86", CONV, 0, knobs),
        "transposed": line("conv2d_transpose_nchw.cuda", CONV, 0, knobs),
        "batches": line("batch_matmul.cuda", CONV, 0, knobs),
        "number": line("conv2d_nchw.cuda", CONV, 1, knobs),
        "knobs": line("conv2d_nchw.cuda", CONV, 0, knobs | {"tile_f": (1, 5, 1, 1)}),
        "dtype": json.dumps(good).replace("float32", "float16"),
        "padding": json.dumps(good).replace("[1, 1, 1, 1]", "[0, 0, 1, 1]"),
        "error": with_changes(result=[[1e9], 77, 1.0, 1.0]),
    }
    found = scan(written(tmp_path / "log", *odd.values(), good), "V100")
    assert len(found.records) == 1
    reasons = {name: line.reason for name, line in zip(odd, found.quarantined, strict=True)}
    assert [line.line for line in found.quarantined] == list(range(1, len(odd) + 1))
    expected = {
        "version": "version 0.3",
        "target": "opencl",
        "template": "conv2d_NCHWc.x86",
        "transposed": "transposed convolutions have no space here",
        "batches": "products of batches",
        "number": "number 1 is not what the knobs say",
        "knobs": "tile_f has no option",
        "dtype": "float16",
        "padding": "from side to side",
    }
    for name, part in (dict.fromkeys(odd, "not a record") | expected).items():
        assert part in reasons[name], name


def test_no_file_is_bad_input(tmp_path):
    with pytest.raises(InputError, match="give a log of AutoTVM"):
        scan(tmp_path / "absent", "V100")


def test_what_is_imported_can_be_learnt_from(tmp_path):
    """Also of two algorithms of one workload, whose spaces are two tasks."""
    lines = []
    for template in ("conv2d_nchw.cuda", "conv2d_nchw_winograd.cuda"):
        space = config_space(CONV, "cuda", TEMPLATES[template][1])
        indices = space.sample(3, np.random.default_rng(0)).tolist()
        lines += [line(template, CONV, index, space.decode(index)) for index in indices]
    write_parquet(scan(written(tmp_path / "log", *lines), "V100").records, tmp_path / "records.parquet")
    tasks = gather([tmp_path / "records.parquet"])
    assert {task.space.template for task in tasks} == {"cuda.conv2d_nchw.v1", "cuda.conv2d_nchw_winograd.v1"}
    assert all(len(task.indices) == 3 and task.valid.all() and task.device == "V100" for task in tasks)
