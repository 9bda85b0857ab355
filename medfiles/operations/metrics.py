"""The status figures in Prometheus format."""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from medfiles.operations.status import Condition


class Figures(Collector):
    def __init__(self, condition: Condition) -> None:
        self.condition = condition

    def collect(self) -> Iterator[Metric]:
        yield from _documents(self.condition)
        yield from _one_figure_each(self.condition)
        yield _by("medfiles_journal_entries", "Objects on their way", "action", vars(self.condition.journal))
        yield _by("medfiles_findings", "What checks of the store found", "kind", self.condition.findings)
        yield _by("medfiles_jobs", "Work that nobody waits for", "state", _jobs(self.condition))
        runs = {name: int(run.ended_at.timestamp()) for name, run in self.condition.runs.items() if run}
        yield _by("medfiles_last_run_seconds", "When this work last came to its end, in Unix time", "run", runs)
        free = {name: size for name, size in self.condition.free.items() if size is not None}
        yield _by("medfiles_storage_free_bytes", "What each store can still take", "storage", free)
        memory = {str(process.pid): process.memory for process in self.condition.processes}
        yield _by("medfiles_process_resident_bytes", "Memory of each server process and its workers", "pid", memory)


def exposition(condition: Condition) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures(condition))
    return generate_latest(registry)


def _documents(condition: Condition) -> Iterator[Metric]:
    count = GaugeMetricFamily("medfiles_documents", "Documents", labels=["type", "state"])
    size = GaugeMetricFamily("medfiles_document_bytes", "Their bytes", labels=["type", "state"])
    for kind, kept in condition.kinds.items():
        count.add_metric([kind, "live"], kept.documents)
        count.add_metric([kind, "trashed"], kept.trashed)
        size.add_metric([kind, "live"], kept.size)
        size.add_metric([kind, "trashed"], kept.trashed_size)
    yield from (count, size)


def _one_figure_each(condition: Condition) -> Iterator[Metric]:
    figures = {
        "medfiles_pictures": ("Derived pictures that are kept", condition.pictures),
        "medfiles_picture_bytes": ("Their bytes", condition.pictures_size),
        "medfiles_pictures_failed": ("Pictures that could not be made", condition.not_drawn),
        "medfiles_older_files": ("Files of the older lab results not moved yet", condition.not_moved),
        "medfiles_accounts": ("Accounts that may sign in", condition.accounts),
        "medfiles_patients": ("Patients", condition.patients),
        "medfiles_audit_sealed": ("Events of the trail in its chain", condition.trail.sealed),
        "medfiles_audit_waiting": ("Events that wait for their seal", condition.trail.waiting),
        "medfiles_scanner_up": ("Whether the malware scanner answers", int(condition.scanner.version is not None)),
        "medfiles_scans_waiting": ("Documents that wait to be scanned", condition.scanner.waiting),
        "medfiles_scans_unseen": ("Older documents that were not scanned", condition.scanner.unseen),
        "medfiles_quarantined": ("Documents in quarantine", len(condition.scanner.quarantined)),
        "medfiles_jobs_late_seconds": ("How long the oldest job that is due has waited", condition.jobs_late),
        "medfiles_sessions": ("Signed-in sessions", condition.sessions),
    }
    for name, (words, value) in figures.items():
        yield GaugeMetricFamily(name, words, value=value)


def _jobs(condition: Condition) -> Mapping[str, int]:
    return {"due": condition.jobs.due, "held": condition.jobs.held, "given_up": condition.jobs.given_up}


def _by(name: str, words: str, label: str, values: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, words, labels=[label])
    for value, figure in values.items():
        family.add_metric([value], figure)
    return family
