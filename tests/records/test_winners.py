"""Winners of other layers in a layer's space."""

from pathlib import Path

import numpy as np
import pytest

from raydgp import Conv2d, config_space, zoo
from raydgp.records.files import read_records
from raydgp.records.recorded import recorded_files
from raydgp.records.winners import nearest_winners, winners
from raydgp.targets import Target
from raydgp.templates.spaces import config_spaces
from raydgp.workloads import Fused, from_dict

FILES = recorded_files([Path("tophub")])
SM_90 = Target.named("cuda/sm_90")
LAYERS = {f"{net}/{task.name}": task.workload for net in zoo.NETWORKS for task in zoo.tasks(net)}


def test_a_layer_that_is_among_them_gets_its_own_first():
    records = [record for path in FILES for record in read_records(path)]
    seen = 0
    for workload in {from_dict(record.context.workload) for record in records[::40]}:
        here = [record for record in records if from_dict(record.context.workload) == workload]
        for space in config_spaces(workload, SM_90):
            own = {space.encode(record.knobs) for record in here if fits(space, record)}
            if own := {index for index in own if space.valid(np.array([index]))[0]}:
                assert nearest_winners(FILES, space, 6)[0] in own
                seen += 1
    assert seen > 5


def fits(space, record):
    return {knob.name for knob in space.knobs} == set(record.knobs)


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_of_the_papers_has_valid_starts(layer):
    space = config_space(LAYERS[layer], SM_90)
    found = nearest_winners(FILES, space, 6)
    assert len(found) == len(set(found)) == 6
    assert space.valid(np.array(found)).all()


def test_a_split_of_another_extent_gets_the_nearest_factors():
    """The nearest layer to one of 55 x 55 is of 56 x 56, whose factors 2 and 7 do not divide 55."""
    odd = Conv2d(n=1, ci=64, h=57, w=57, co=64, kh=3, kw=3)
    space = config_space(odd, SM_90)
    near = nearest_winners(FILES, space, 1)
    assert near
    assert not set(near) & set(winners(FILES, space))  # none has factors of 55
    knobs = space.decode(near[0])
    assert knobs["tile_f"][1:] in {
        tuple(r.knobs["tile_f"][1:]) for p in FILES for r in read_records(p) if "tile_f" in r.knobs
    }


def test_a_fused_layer_has_those_of_its_anchor():
    anchor = LAYERS["resnet18/rb3-conv2"]
    fused = config_space(Fused(anchor=anchor, epilogue=("bias", "relu")), SM_90)
    alone = config_space(anchor, SM_90)
    assert [fused.decode(i) for i in nearest_winners(FILES, fused, 4)] == [
        alone.decode(i) for i in nearest_winners(FILES, alone, 4)
    ]


def test_of_another_kind_of_target_there_are_none():
    assert nearest_winners(FILES, config_space(LAYERS["resnet18/rb3-conv2"], "llvm"), 6) == []
