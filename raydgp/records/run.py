"""The folder of a run: the one place that reads and writes its manifest and its journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from raydgp.errors import InputError, JournalError
from raydgp.records.history import Machine, first, searched
from raydgp.records.journal import Follower, Journal, Scan, lock_of, scan
from raydgp.records.lines import segments_folder
from raydgp.records.lock import FileLock, Held, check_free
from raydgp.records.manifest import FILE_NAME, RunManifest
from raydgp.records.record import Context, Record
from raydgp.records.summary import RunSummary, TaskSummary, final_choice
from raydgp.settings import TuneSettings
from raydgp.workloads import Workload

JOURNAL_NAME = "journal.jsonl"
USAGE_NAME = "usage.jsonl"
LOCK_NAME = "run.lock"
LOG_NAME = "log"


class RunFolder:
    """A run as its folder tells it: what was asked for in the manifest, all that was measured in the journal.

    Nothing is kept of the journal: whatever is asked is read anew, so that a folder may be watched while another
    process measures. The manifest is read once, and again after `reload`.

    Attributes:
        path: of the folder, which need not exist yet.
        journal: path of the journal.
        usage: path of what its nodes used while it measured, lines of JSON; see `raydgp.cluster.node_usage`.
        log: path of the log that the package's logger writes while the run goes on.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.journal, self.log, self.usage = path / JOURNAL_NAME, path / LOG_NAME, path / USAGE_NAME
        self._manifest: RunManifest | None = None

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @property
    def exists(self) -> bool:
        """Whether there is a manifest; a journal without one is what a lost manifest leaves."""
        return (self.path / FILE_NAME).exists()

    # --- the manifest

    @property
    def manifest(self) -> RunManifest:
        """What was asked for, of what, and where.

        Raises:
            InputError: the folder is not a run, or its manifest is damaged.
        """
        if self._manifest is None:
            if self.journal.is_file() and not self.exists:
                raise InputError(
                    f"{self.path}: its {FILE_NAME} is gone; the `raydgp tune` command that began the run writes it "
                    "anew and goes on"
                )
            self._manifest = RunManifest.load(self.path)
        return self._manifest

    @property
    def settings(self) -> TuneSettings:
        """What the run was started with.

        Raises:
            InputError: the folder is not a run, or its settings are of another raydgp.
        """
        return self.manifest.tune_settings()

    def save(self, manifest: RunManifest) -> None:
        """Writes the manifest as a whole or not at all."""
        manifest.save(self.path)
        self._manifest = manifest

    def reload(self) -> None:
        """Forgets the manifest, which another process may have written anew."""
        self._manifest = None

    # --- who writes

    def check_free(self) -> None:
        """Looks whether another process writes into the folder; nothing is changed.

        Raises:
            JournalError: one does; says which.
        """
        for lock in (self.path / LOCK_NAME, lock_of(self.journal)):
            try:
                check_free(lock)
            except Held as held:
                raise JournalError(f"{self.path}: another process works on this run; {held}") from None

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Makes the folder and keeps other tuners out of it, from before anything is started to the end of the run.

        Raises:
            JournalError: another process works on the run, or the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / LOCK_NAME)
        except Held as held:
            raise JournalError(f"{self.path}: another process works on this run; {held}") from None
        except OSError as error:
            reason = error.strerror
            raise JournalError(f"{self.path}: {reason}; give a folder that can be written with --runs-dir") from None
        try:
            yield
        finally:
            lock.release()

    # --- the journal

    def writer(self) -> Journal:
        """The single writer of the journal.

        Raises:
            JournalError: another writer holds it, or it cannot be written.
        """
        return Journal(self.journal)

    def follower(self) -> Follower:
        """A reader for while the run goes on."""
        return Follower(self.journal)

    def scan(self, wanted: Callable[[Context], bool] | None = None) -> Scan:
        """All that the journal holds, damaged lines apart; nothing before the first measurement."""
        return scan(self.journal, wanted) if self.journal.is_file() else Scan([], [], torn=False)

    @property
    def size_bytes(self) -> int:
        """Of the journal and its segments on disk."""
        files = [self.journal, *segments_folder(self.journal).glob("*.parquet")]
        return sum(file.stat().st_size for file in files if file.is_file())

    def compact(self) -> int:
        """Moves the journal's lines into a segment, see `raydgp.records.segments`; returns how many.

        Raises:
            InputError: there is no journal.
            JournalError: another process works on the run, or it cannot be written; no line is lost.
        """
        if not self.journal.is_file():
            raise InputError(f"{self.path}: no {JOURNAL_NAME} there; give the folder of a run")
        with self.claimed(), self.writer() as journal:
            return journal.compact()

    def records(self, wanted: Callable[[Context], bool] | None = None) -> list[Record]:
        """The measurements of the search on the run's kind of machine in order, each configuration once.

        Where the manifest is gone, the machine is the first record's.

        Args:
            wanted: whose; everyone's by default, and the others are not looked at.
        """
        records = [record for record in self.scan(wanted).records if searched(record)]
        if not records:
            return []
        machine = self.manifest.machine if self.exists else Machine.of(records[0])
        return first(filter(machine.measured, records))

    def finalists(self) -> list[Record]:
        """What deploying has measured again of this run's tasks; their trial counts how often it did."""
        spaces = {entry.name: entry.space_hash for entry in self.manifest.tasks}
        records = [record for record in self.scan().records if not searched(record)]
        return [record for record in records if spaces.get(record.context.task) == record.context.space_hash]

    def summary(self) -> RunSummary:
        """What the search has found so far: counts, phases, and of each task the default and the best."""
        return RunSummary(self.manifest.tasks, self.scan().records, self.manifest.machine)

    def choice(self) -> dict[Workload, TaskSummary]:
        """The kernel of each layer that a deployed model gets; see `final_choice`."""
        return final_choice(self.summary(), self.finalists())


def runs_in(folder: Path) -> Iterator[RunFolder]:
    """The runs of a folder by name; what is no run of this raydgp is passed over."""
    for path in sorted(folder.glob(f"*/{FILE_NAME}")):
        run = RunFolder(path.parent)
        try:
            _ = run.manifest
        except InputError:
            continue
        yield run
