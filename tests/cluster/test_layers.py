"""Whole searches on a local cluster: two layers at a time, journalled, stopped, killed and resumed."""

import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
import ray

from raydgp.cluster import Cluster, LayerOutcome, cluster
from raydgp.errors import JournalError, RunnersLost
from raydgp.records import Journal, Status, read
from raydgp.settings import TuneSettings
from raydgp.templates.spaces import config_space
from raydgp.workloads import Conv2d, Task
from tests.support import driver, fakes
from tests.support.processes import start_python

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def session() -> Iterator[None]:
    fakes.start_ray()
    yield
    ray.shutdown()


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "run" / "journal.jsonl"


def search(journal: Path) -> dict[str, LayerOutcome]:
    with Cluster(driver.SETTINGS, journal, fakes.backend()) as here:
        return {outcome.task: outcome for outcome in here.tune(driver.LAYERS, read(journal))}


def measured(journal: Path) -> dict[str, dict[int, int]]:
    """Configuration by trial, by task; nothing was measured twice."""
    found: dict[str, dict[int, int]] = {layer.name: {} for layer in driver.LAYERS}
    for record in read(journal):
        found[record.context.task][record.trial] = record.measurement.index
    indices = [(record.context.task, record.measurement.index) for record in read(journal)]
    assert max(Counter(indices).values(), default=1) == 1
    return found


@pytest.fixture(scope="module")
def whole(session: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, LayerOutcome], Path]:
    """The search as it goes when nobody disturbs it."""
    journal = tmp_path_factory.mktemp("whole") / "journal.jsonl"
    return search(journal), journal


def test_every_measurement_is_journalled_as_what_it_is(
    whole: tuple[dict[str, LayerOutcome], Path],
) -> None:
    outcomes, journal = whole
    records = list(read(journal))
    for layer in driver.LAYERS:
        space = config_space(layer.workload, "llvm")
        mine = sorted((r for r in records if r.context.task == layer.name), key=lambda record: record.trial)
        assert [record.trial for record in mine] == list(range(40))
        assert measured(journal)[layer.name][0] == space.default
        best = max(mine, key=lambda record: record.measurement.gflops(layer.workload.flops)).measurement
        assert outcomes[layer.name].best == (best.index, best.gflops(layer.workload.flops))
        assert {record.context.space_hash for record in mine} == {space.hash}
        assert all(space.encode(record.knobs) == record.measurement.index for record in mine)


def test_layers_are_searched_at_the_same_time(session: None, journal: Path, tmp_path: Path) -> None:
    firsts = {config_space(layer.workload, "llvm").default for layer in driver.LAYERS}
    assert len(firsts) == 2
    with Cluster(driver.SETTINGS, journal, fakes.backend(build=fakes.Meeting(fakes.Log(tmp_path), firsts))) as here:
        outcomes = here.tune(driver.LAYERS)
    assert [outcome.failed for outcome in outcomes] == [0, 0]


def test_a_lost_trial_costs_its_batch_and_not_the_run(
    whole: tuple[dict[str, LayerOutcome], Path], journal: Path
) -> None:
    """The process that measures a batch is killed in the middle of it, as with its node."""
    killed: list[int] = []

    def kill() -> None:
        while len(set(indices_in(journal))) < 12:
            time.sleep(0.05)
        while not killed:
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    if not killed and "MeasureBatch" in " ".join(process.cmdline()):
                        process.kill()
                        killed.append(process.pid)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    with Cluster(driver.SETTINGS, journal, fakes.backend(run=driver.nap)) as here:
        outcomes = {outcome.task: outcome for outcome in here.tune(driver.LAYERS)}
    assert len(killed) == 1
    assert outcomes == whole[0]
    assert set(indices_in(journal)) == set(indices_in(whole[1]))


def indices_in(journal: Path) -> list[tuple[str, int]]:
    return [(record.context.task, record.measurement.index) for record in read(journal)]


def test_a_finished_search_measures_nothing_again(whole: tuple[dict[str, LayerOutcome], Path]) -> None:
    outcomes, journal = whole
    before = journal.read_bytes()
    assert search(journal) == outcomes
    assert journal.read_bytes() == before


def test_a_search_goes_on_in_slices_as_in_one_piece(whole: tuple[dict[str, LayerOutcome], Path], journal: Path) -> None:
    names = [layer.name for layer in driver.LAYERS]
    with Cluster(driver.SETTINGS, journal, fakes.backend()) as here:
        for trials in (16, 40):  # whole batches, so that the strategy learns as often
            outcomes = here.tune(driver.LAYERS, read(journal), dict.fromkeys(names, trials))
    assert {outcome.task: outcome for outcome in outcomes} == whole[0]
    assert measured(journal) == measured(whole[1])


def test_given_points_come_right_after_the_default(session: None, journal: Path) -> None:
    layer = driver.LAYERS[0]
    space = config_space(layer.workload, "llvm")
    points = [int(i) for i in space.sample_valid(3, np.random.default_rng(5)) if i != space.default]
    with Cluster(driver.SETTINGS, journal, fakes.backend()) as here:
        here.tune([layer], (), {layer.name: 6}, {layer.name: points})
    by_trial = measured(journal)[layer.name]
    assert [by_trial[k] for k in range(1 + len(points))] == [space.default, *points]


def start_driver(journal: Path, records: int) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """A driver that has journalled so many records, and its processes."""
    started = start_python("-m", driver.__name__, str(journal), stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 90
    while len(list(read(journal))) < records and time.monotonic() < deadline:
        assert started.poll() is None, started.communicate()[0]
        time.sleep(0.02)
    return started, psutil.Process(started.pid).children(recursive=True)


def is_agent(process: psutil.Process) -> bool:
    try:
        return "agent" in " ".join([process.name(), *process.cmdline()]).lower()
    except psutil.NoSuchProcess:
        return True


def assert_gone(processes: list[psutil.Process]) -> None:
    """Ray's two agents take a minute to see that their session is over."""
    ours = [process for process in processes if process.is_running() and not is_agent(process)]
    left = psutil.wait_procs(ours, timeout=120)[1]  # a busy machine is slow to end what has been told to
    assert not [process for process in left if process.status() != psutil.STATUS_ZOMBIE]


def test_a_killed_driver_leaves_no_process_and_the_search_resumes_where_it_was(
    whole: tuple[dict[str, LayerOutcome], Path], journal: Path
) -> None:
    outcomes, uninterrupted = whole
    killed, processes = start_driver(journal, records=11)
    killed.kill()
    killed.wait()
    assert_gone(processes)  # the recorder among them, which holds the journal's lock until it has noticed
    assert 11 <= len(list(read(journal))) < 80
    assert search(journal) == outcomes
    assert measured(journal) == measured(uninterrupted)


def test_ctrl_c_ends_everything_within_seconds_and_in_silence(session: None, journal: Path) -> None:
    stopped, processes = start_driver(journal, records=5)
    began = time.monotonic()
    stopped.send_signal(signal.SIGINT)
    output = stopped.communicate(timeout=60)[0]
    assert time.monotonic() - began < 30  # seconds on a quiet machine
    assert (stopped.returncode, output) == (130, "")
    assert_gone(processes)
    with Journal(journal):  # its lock is free, and it is whole
        assert len(list(read(journal))) >= 5


# --- faults of the journal and of all runners reach the driver


def test_a_journal_that_another_run_writes_to_is_refused(session: None, journal: Path) -> None:
    with Journal(journal), pytest.raises(JournalError, match="another run"):
        search(journal)


def test_a_full_disk_ends_the_search_and_keeps_what_it_has(
    session: None, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "Recorder", fakes.SmallDisk)
    with pytest.raises(JournalError, match="earlier records are intact"):
        search(journal)
    records = list(read(journal))
    assert 0 < len(records) < 40
    assert journal.stat().st_size <= 10_000
    monkeypatch.undo()
    search(journal)
    assert all(len(trials) == 40 for trials in measured(journal).values())


@pytest.mark.slow
def test_when_all_runners_are_lost_the_search_ends_and_can_be_resumed(
    session: None, journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "PoolSettings", partial(cluster.PoolSettings, patience_s=10.0, scan_s=0.2))
    log = fakes.Log(tmp_path)
    unlucky = config_space(driver.LAYERS[0].workload, "llvm").default
    broken = fakes.backend(run=fakes.Fault(log, fakes.crash, [unlucky], 9), opened=fakes.Breaks(log, after=1))
    with pytest.raises(RunnersLost, match="resume"), Cluster(driver.SETTINGS, journal, broken) as here:
        here.tune(driver.LAYERS)
    assert all(record.measurement.status is Status.OK for record in read(journal))
    search(journal)
    assert all(len(trials) == 40 for trials in measured(journal).values())


# --- and once with real kernels


def test_a_real_convolution_is_built_checked_timed_and_journalled(session: None, journal: Path) -> None:
    workload = Conv2d(n=1, ci=16, h=14, w=14, co=32, kh=3, kw=3, padding=(1, 1))
    settings = TuneSettings(model="resnet18", strategy="random", trials=6, batch=3, run="real")
    with Cluster(settings, journal) as here:
        (outcome,) = here.tune([Task("conv", workload, 1)])
        device, target = here.device, here.target
    records = list(read(journal))
    assert [record.trial for record in sorted(records, key=lambda r: r.trial)] == list(range(6))
    assert (outcome.measured, outcome.failed) == (6, 0)
    for record in records:
        found = record.measurement
        assert found.ok
        assert len(found.times_s) == settings.measure.repeat
        assert min(found.phases.build_s, found.phases.queue_s, found.phases.run_s, found.phases.propose_s) > 0
        assert (found.device, record.context.target) == (device, target)
        assert target.kind == "llvm"


def test_defaults_are_measured_without_a_search_which_then_goes_on_from_them(session: None, journal: Path) -> None:
    with Cluster(driver.SETTINGS, journal, fakes.backend()) as here:
        here.measure_defaults(driver.LAYERS)
        defaults = {layer.name: {0: config_space(layer.workload, "llvm").default} for layer in driver.LAYERS}
        assert measured(journal) == defaults
        (outcome, _) = here.tune(driver.LAYERS, read(journal), {layer.name: 4 for layer in driver.LAYERS})
    assert outcome.measured == 4
    assert all(sorted(trials) == [0, 1, 2, 3] for trials in measured(journal).values())


def test_nothing_is_begun_after_the_time(session: None, journal: Path) -> None:
    with Cluster(driver.SETTINGS, journal, fakes.backend()) as here:
        here.measure_defaults(driver.LAYERS, time.time())
        outcomes = here.tune(driver.LAYERS, until_unix_s=time.time())
    assert [outcome.measured for outcome in outcomes] == [0, 0]
    assert not journal.read_bytes()


def test_several_runs_search_on_the_same_runners_and_have_journals_of_their_own(
    whole: tuple[dict[str, LayerOutcome], Path], tmp_path: Path
) -> None:
    other = driver.SETTINGS.model_copy(update={"seed": driver.SETTINGS.seed + 1, "run": "other"})
    journals = {run: tmp_path / run / "journal.jsonl" for run in ("first", "other", "finals")}
    found: dict[str, list[LayerOutcome]] = {}

    def search_beside(host: Cluster, run: str, settings: TuneSettings) -> None:
        with host.beside(settings, journals[run]) as guest:
            found[run] = guest.tune(driver.LAYERS)

    with Cluster(driver.SETTINGS, journals["finals"], fakes.backend()) as host:
        runs = (("first", driver.SETTINGS), ("other", other))
        threads = [threading.Thread(target=search_beside, args=(host, run, settings)) for run, settings in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        best = [outcome.best[0] for outcome in found["first"] if outcome.best]
        for turn in range(2):  # the runners are still there
            host.measure_again(driver.LAYERS[0], best[:1], turn)
    assert {outcome.task: outcome for outcome in found["first"]} == whole[0]
    assert {record.context.seed for record in read(journals["other"])} == {other.seed}
    assert set(indices_in(journals["other"])) != set(indices_in(journals["first"]))
    again = list(read(journals["finals"]))
    assert [(record.context.strategy, record.trial) for record in again] == [("finalists", 0), ("finalists", 1)]
    assert {record.measurement.index for record in again} == set(best[:1])
