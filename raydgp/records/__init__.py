"""Measurements, the journal that keeps them, and what can be read off it."""

from raydgp.records.journal import Follower, Journal, Quarantined, Scan, read, scan
from raydgp.records.manifest import RunManifest, TaskEntry
from raydgp.records.measurement import Measurement, Phases, Resources, Status
from raydgp.records.record import Context, Record
from raydgp.records.run import RunFolder

__all__ = [
    "Context",
    "Follower",
    "Journal",
    "Measurement",
    "Phases",
    "Quarantined",
    "Record",
    "Resources",
    "RunFolder",
    "RunManifest",
    "Scan",
    "Status",
    "TaskEntry",
    "read",
    "scan",
]
