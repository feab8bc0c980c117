"""Templates and kinds of targets that others register: what is missing is said when they do, not build by build."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from raydgp import Dense, config_space
from raydgp.errors import InputError
from raydgp.registry import isolated
from raydgp.space import ConfigSpace, choice
from raydgp.targets import Target
from raydgp.templates import Layers, PlainArrays, config_spaces, register
from raydgp.templates.columns import machine_features
from raydgp.templates.registry import template_for
from raydgp.workloads import Fused, Workload, from_dict
from tests.support.processes import environment, python

FIRST_OF_ALL = Dense(n=1, k=8, m=16)


def space(workload: Workload, target: Target) -> ConfigSpace:
    return ConfigSpace(workload, target.kind, "llvm.doubled.v1", [choice("step", [1, 2])], {"step": 1})


def of_another_name(workload: Workload, target: Target) -> ConfigSpace:
    return ConfigSpace(workload, target.kind, "llvm.misspelt.v1", [choice("step", [1, 2])], {"step": 1})


class Schedule(PlainArrays):
    def schedule(self, workload, knobs, target):
        raise NotImplementedError


class Incomplete:
    def schedule(self, workload, knobs, target):
        raise NotImplementedError


@pytest.fixture(autouse=True)
def nothing_stays():
    config_space(FIRST_OF_ALL, "llvm")  # raydgp's own are there
    with isolated():
        yield


@pytest.fixture
def doubled():
    """An operator of this test alone."""

    @dataclass(frozen=True, kw_only=True)
    class Doubled(Workload):
        op = "doubled"
        n: int
        flops = property(lambda self: self.n)
        input_shapes = property(lambda self: ((self.n,),))
        output_shape = property(lambda self: (self.n,))

        def reference(self, *inputs):
            return 2 * inputs[0]

        def sizes(self):
            return {"n": self.n}

    return Doubled


def test_a_registered_template_has_a_space_a_schedule_and_columns(doubled):
    register(
        target="llvm",
        workload=doubled,
        space=space,
        schedules={"llvm.doubled.v1": Schedule},
        features=lambda workload, c: {"steps": workload.n / c["step"][:, 0]},
    )
    workload = doubled(n=8)
    made = config_space(workload, "llvm/haswell")
    assert made.size == 2
    assert isinstance(template_for(made), Schedule)
    names, values = machine_features(made, np.array([0, 1]))
    assert names == ["step", "n", "steps"]
    assert values.tolist() == [[1, 8, 8], [2, 8, 4]]
    assert from_dict(workload.to_dict()) == workload
    assert [each.hash for each in config_spaces(workload, "llvm")] == [made.hash]
    with pytest.raises(InputError, match="no schedule template for doubled on cuda"):
        config_space(workload, "cuda")


@pytest.mark.parametrize(
    ("schedules", "message"),
    [
        ({}, "no schedule"),
        ({"llvm.doubled.v1": Incomplete}, "lacks pack, out_shape, unpack"),
        ({"llvm.doubled.v1": "raydgp.no_such_room:Schedule"}, "no module:Class that can be imported"),
        ({"llvm.doubled.v1": "raydgp.templates.base"}, "no module:Class that can be imported"),
    ],
)
def test_what_is_missing_is_said_at_registration(doubled, schedules, message):
    with pytest.raises(InputError, match=message):
        register(target="llvm", workload=doubled, space=space, schedules=schedules)


def test_a_template_for_layers_needs_the_parts_of_a_layer(doubled):
    with pytest.raises(InputError, match="lacks compute, scheduled, pack_weight, pack_bias"):
        register(target="llvm", workload=doubled, space=space, schedules={"llvm.doubled.v1": Schedule}, layers=Layers())


def test_a_space_of_another_template_is_refused_before_anything_is_built(doubled):
    register(target="llvm", workload=doubled, space=of_another_name, schedules={"llvm.doubled.v1": Schedule})
    with pytest.raises(InputError, match=r"llvm\.misspelt\.v1.* was not registered .* known are llvm\.doubled\.v1"):
        config_space(doubled(n=8), "llvm")


def test_two_templates_cannot_have_one_place_but_the_same_may_come_again(doubled):
    for _ in range(2):
        register(target="llvm", workload=doubled, space=space, schedules={"llvm.doubled.v1": Schedule})
    with pytest.raises(InputError, match="there is one already"):
        register(target="llvm", workload=doubled, space=of_another_name, schedules={"llvm.doubled.v1": Schedule})


def test_a_layer_whose_template_serves_no_layers_has_no_space():
    layer = Fused(anchor=FIRST_OF_ALL, epilogue=("bias",), block_out=16)
    assert config_space(layer, "llvm").size > 1
    with pytest.raises(InputError, match="no schedule template"):
        config_space(replace(layer, block_out=3), "cuda")


MODULE = """
from dataclasses import dataclass

from raydgp.space import ConfigSpace, choice
from raydgp.targets import Kind, Target
from raydgp.templates import PlainArrays, register
from raydgp.workloads import Workload


@dataclass(frozen=True, kw_only=True)
class Tripled(Workload):
    op = "tripled"
    n: int


class Abacus(Kind):
    name = "abacus"

    def here(self):
        return self.from_attributes({})

    def from_attributes(self, attributes):
        return Target(kind="abacus", vector_bits=32)


def space(workload, target):
    return ConfigSpace(workload, target.kind, "abacus.tripled.v1", [choice("step", [1, 2])], {"step": 1})


class Schedule(PlainArrays):
    pass


register(target="abacus", workload=Tripled, space=space, schedules={"abacus.tripled.v1": "outsider:Schedule"})
ABACUS = Abacus()
"""


def test_an_installed_package_adds_an_operator_a_template_and_a_kind_by_entry_points(tmp_path: Path) -> None:
    (tmp_path / "outsider.py").write_text(MODULE)
    info = tmp_path / "outsider-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outsider\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[raydgp.operators]\ntripled = outsider:Tripled\n"
        "[raydgp.templates]\noutsider = outsider\n"
        "[raydgp.targets]\nabacus = outsider:ABACUS\n"
    )
    script = (
        "from raydgp import config_space; from raydgp.workloads import from_dict;"
        "print(config_space(from_dict({'op': 'tripled', 'n': 4}), 'abacus').template)"
    )
    path = os.pathsep.join([str(tmp_path), environment()["PYTHONPATH"]])
    done = python("-c", script, env=environment() | {"PYTHONPATH": path}, cwd=tmp_path)
    assert done.stdout.strip() == "abacus.tripled.v1"
