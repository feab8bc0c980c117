"""What a plan means: which configurations, why, and in which order."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from raydgp import Conv2d, config_space
from raydgp.bundle import plan
from raydgp.bundle.plan import planned
from raydgp.bundle.register_rule import refused_beside_valid
from raydgp.errors import InputError
from raydgp.models import sources
from raydgp.records import Context, Journal, Measurement, Record, Status
from raydgp.records.recorded import RecordedSpace
from raydgp.records.winners import winners
from raydgp.settings import BundleSettings, BundleTask, MeasureSettings, load, source_of
from raydgp.space.thinning import thinned
from raydgp.targets import Limits, Target
from raydgp.templates import PlainArrays
from raydgp.templates.registry import template_for
from raydgp.workloads import zoo

PLANS = Path(__file__).parents[2] / "jobs" / "plans"
SM_90 = Target.named("cuda/sm_90")
LAYER = "resnet18/rb4-sc"
(RB4_SC,) = [task.workload for task in zoo.tasks("resnet18") if task.name == "rb4-sc"]


def settings(*tasks, target="cuda/sm_90", **rest):
    return BundleSettings(target=target, tasks=[BundleTask(**{"layer": LAYER, **task}) for task in tasks], **rest)


def wanted(**task):
    _, (made,) = planned(settings(task))
    return made.space, made.wanted


def of(configurations, origin):
    return [index for index, why in configurations if why == origin]


def journal(path, workload, *measured):
    """A journal of (knobs, seconds) of a layer on another device."""
    space = config_space(workload, "cuda/sm_80")
    context = Context(
        task="t", workload=workload.to_dict(), target=Target.named("cuda/sm_80"), space_hash=space.hash,
        strategy="random", seed=0, run="r",
    )  # fmt: skip
    with Journal(path) as opened:
        for trial, (knobs, seconds) in enumerate(measured):
            found = Measurement(
                index=space.encode(knobs), status=Status.OK, times_s=(seconds,), device={"name": "A100"}
            )
            opened.append([Record(context=context, trial=trial, knobs=knobs, measurement=found)])
    return path


def test_the_default_alone_where_nothing_else_is_asked_for():
    space, configurations = wanted()
    assert configurations == ((space.default, "default"),)


def test_draws_are_valid_each_once_and_the_same_for_the_same_seed():
    space, configurations = wanted(draws=40)
    drawn = of(configurations, "draw")
    assert len(set(drawn)) == 40
    assert space.valid(drawn).all()
    assert wanted(draws=40)[1] == configurations
    _, (other,) = planned(settings({"draws": 40}, seed=1))
    assert set(of(other.wanted, "draw")) != set(drawn)


def test_a_grid_is_the_whole_of_a_thinned_space():
    space, configurations = wanted(grid=30)
    thin = thinned(space, 30)
    kept = [index for index in range(thin.size) if thin.valid([index])[0]]
    expected = {str(thin.decode(index)) for index in kept if thin.decode(index) != space.decode(space.default)}
    assert {str(space.decode(index)) for index in of(configurations, "grid")} == expected
    assert expected


@pytest.mark.parametrize("algorithm", ["direct", "winograd"])
def test_refused_is_what_the_register_rule_alone_refuses_beside_its_nearest_valid_neighbour(algorithm):
    layer = "resnet18/rb3-conv2"
    space, configurations = wanted(layer=layer, algorithm=algorithm, refused=12)
    limits = Limits(registers=1 << 30, registers_thread=1 << 30)
    lenient = {"direct": "raydgp.templates.cuda.conv2d_space", "winograd": "raydgp.templates.cuda.winograd_space"}
    without = __import__(lenient[algorithm], fromlist=["space"]).space(space.workload, replace(SM_90, limits=limits))
    refused = of(configurations, "refused")
    assert len(refused) == 12
    assert not space.valid(refused).any()
    assert without.valid(refused).all()
    for (index, why), (beside, role) in pairwise(configurations):
        if why == "refused" and role == "neighbour":  # else it had its place already
            digits = space.digits([index, beside])
            distance = np.sqrt(((digits[0] - digits[1]) ** 2).sum())
            nearer = space.neighbours(index, distance - 1e-6)
            assert space.valid([beside])[0]
            assert not space.valid(nearer).any()
    assert len(of(configurations, "neighbour")) >= 6


def test_only_a_gpu_has_the_register_rule():
    space = config_space(RB4_SC, "llvm/haswell")
    with pytest.raises(InputError, match="refused=3: only spaces of a GPU"):
        refused_beside_valid(space, Target.named("llvm/haswell"), "direct", 3, np.random.default_rng(0))


def test_a_winner_of_another_layer_fits_by_all_but_its_outermost_factors(tmp_path):
    other = Conv2d(
        n=1, ci=128, h=28, w=28, co=256, kh=1, kw=1, stride=(2, 2)
    )  # 256 outputs of 14 x 14; ours: 512, 7 x 7
    knobs = {
        "tile_f": (8, 1, 32, 1), "tile_y": (2, 1, 1, 7), "tile_x": (2, 1, 7, 1), "tile_rc": (16, 8),
        "tile_ry": (1, 1), "tile_rx": (1, 1), "auto_unroll_max_step": 512, "unroll_explicit": 1,
    }  # fmt: skip
    slower = knobs | {"tile_rc": (32, 4)}
    wide = knobs | {"tile_y": (1, 1, 1, 14)}  # 7 has no factor of 14
    space = config_space(RB4_SC, SM_90)
    best = journal(tmp_path / "a.jsonl", other, (slower, 2e-5), (knobs, 1e-5))
    odd = journal(tmp_path / "b.jsonl", other, (wide, 1e-5))
    (found,) = winners([best, odd], space)
    fitted = {"tile_f": (16, 1, 32, 1), "tile_y": (1, 1, 1, 7), "tile_x": (1, 1, 7, 1), "tile_rc": (32, 8)}
    assert space.decode(found) == knobs | fitted
    assert of(wanted(winners=[best])[1], "winner") == [found]
    assert winners([best], config_space(zoo.tasks("mobilenet_v1")[1].workload, SM_90)) == []


def test_of_a_recorded_space_the_best_is_a_winner(tmp_path):
    space = thinned(config_space(RB4_SC, SM_90), 20)
    indices = np.flatnonzero(space.valid(np.arange(space.size))).tolist()
    measured = [
        Measurement(index=index, status=Status.OK, times_s=(1.0 + (place - 3) ** 2,), device={"name": "A100"})
        for place, index in enumerate(indices)
    ]
    RecordedSpace.of(LAYER, space, measured).save(tmp_path / "a.parquet")
    whole = config_space(RB4_SC, SM_90)
    assert winners([tmp_path / "a.parquet"], whole) == [whole.encode(space.decode(indices[3]))]


def test_files_of_something_else_are_named(tmp_path):
    for name, text in (("a.jsonl", "{}\n" * 3), ("b.parquet", "text"), ("c.txt", "text")):
        (tmp_path / name).write_text(text)
        space = config_space(RB4_SC, SM_90)
        if name == "a.jsonl":
            assert winners([tmp_path / name], space) == []  # a journal whose lines are quarantined
        else:
            with pytest.raises(InputError, match=name):
                winners([tmp_path / name], space)


def test_what_counts_most_comes_first_and_the_rest_is_mixed(tmp_path):
    space = config_space(RB4_SC, SM_90)
    path = journal(
        tmp_path / "a.jsonl", RB4_SC, (space.decode(int(space.sample_valid(1, np.random.default_rng(9))[0])), 1)
    )
    _, configurations = wanted(winners=[path], draws=30, grid=30)
    origins = [why for _, why in configurations]
    assert origins[:2] == ["default", "winner"]
    assert {"draw", "grid"} == set(origins[2:22]) == set(origins[-20:])
    assert len({index for index, _ in configurations}) == len(configurations)


def test_tasks_of_one_layer_by_two_algorithms_have_two_names():
    _, tasks = planned(
        settings({"layer": "resnet18/rb3-conv2"}, {"layer": "resnet18/rb3-conv2", "algorithm": "winograd"})
    )
    assert [task.name for task in tasks] == ["resnet18/rb3-conv2", "resnet18/rb3-conv2-winograd"]


BAD = {
    "no slash": ([{"layer": "resnet18"}], "cuda/sm_90", r"tasks\.0: layer 'resnet18' must be NETWORK/TASK"),
    "network": ([{"layer": "resnet19/rb4-sc"}], "cuda/sm_90", r"tasks\.0: .*did you mean 'resnet18'"),
    "task": ([{}, {"layer": "resnet18/rb4-cs"}], "cuda/sm_90", r"tasks\.1: resnet18 has no task .*mean 'rb4-sc'"),
    "algorithm": ([{"algorithm": "fft"}], "cuda/sm_90", "with algorithm 'fft'; known are direct, tensor"),
    "misspelt": ([{"algorithm": "winogard"}], "cuda/sm_90", "did you mean 'winograd'"),
    "not of these shapes": ([{"algorithm": "winograd"}], "cuda/sm_90", "winograd needs"),
    "old": ([{"algorithm": "tensor_core"}], "cuda/sm_61", "needs a GPU of sm_70"),
    "twice": ([{}, {"draws": 3}], "cuda/sm_90", "resnet18/rb4-sc is there twice"),
    "refused": ([{"refused": 3}], "llvm/haswell", "only spaces of a GPU"),
    "winners": ([{"winners": ["absent.parquet"]}], "cuda/sm_90", "absent.parquet: "),
    "target": ([{}], "cuda/sm90", "sm_90"),
}  # fmt: skip


@pytest.mark.parametrize(("tasks", "target", "message"), BAD.values(), ids=BAD)
def test_what_there_is_not_is_told_in_one_line(tasks, target, message):
    with pytest.raises(InputError, match=message) as caught:
        planned(settings(*tasks, target=target))
    assert "\n" not in str(caught.value)


def test_caches_are_not_flushed_by_a_runner():
    with pytest.raises(InputError, match=r"measure\.cold_cache: .*caches: \[rotated\]"):
        planned(settings({}, measure=MeasureSettings(cold_cache=True)))


FILES = {
    "target: cuda\ntasks:\n  - {layer: resnet18/rb4-sc, drws: 3}\n": "unknown key 'tasks.0.drws'; did you mean 'draws'",
    "target: cuda/sm_90\ntasks: []\n": "key 'models': .*name a layer under `tasks`, or a model here",
    "tasks:\n  - {layer: resnet18/rb4-sc}\n": "key 'target' is missing; give it in the file$",
    "target: cuda\ntasks:\n  - {layer: resnet18/rb4-sc, draws: -1}\n": "key 'tasks.0.draws'",
    "target: cuda\ncaches: [cold]\ntasks:\n  - {layer: resnet18/rb4-sc}\n": "key 'caches.0'",
}


@pytest.mark.parametrize(("text", "message"), FILES.items())
def test_a_bad_file_names_the_key(text, message, tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=f"plan.yaml: {message}"):
        load(path, {}, BundleSettings)


def test_a_template_that_lays_out_by_code_is_told_what_it_lacks(monkeypatch):
    class ByCode(PlainArrays):
        def pack(self, workload, knobs, inputs):
            return [array[::-1] for array in inputs]

    assert isinstance(template_for(config_space(RB4_SC, SM_90)), PlainArrays)
    monkeypatch.setattr(plan, "template_for", lambda space: ByCode())
    with pytest.raises(InputError, match="lays out arrays by code; say `layouts` and `out_layout`"):
        planned(settings({}))


@pytest.mark.parametrize("path", sorted(PLANS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_ready_plan_can_be_made(path):
    """With fewer draws; of whole models, which take long to import, the names."""
    plan = load(path, {}, BundleSettings)
    for model in plan.models:
        sources.check(source_of(str(model.model)))
    if not plan.tasks:
        return
    few = [task.model_copy(update={"draws": 1, "refused": min(1, task.refused)}) for task in plan.tasks]
    _, tasks = planned(plan.model_copy(update={"tasks": few}))
    origins = {origin for task in tasks for _, origin in task.wanted}
    assert {"default", "draw"} <= origins
    assert ("winner" in origins) == any(task.winners for task in plan.tasks)
    assert ("refused" in origins) == any(task.refused for task in plan.tasks)
