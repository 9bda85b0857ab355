"""The figures of the status page as Prometheus reads them."""

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
        yield _by(
            "medfiles_journal_entries", "Pending entries of the storage journal", "action", vars(self.condition.journal)
        )
        yield _by("medfiles_findings", "Integrity findings", "kind", self.condition.findings)
        yield _by("medfiles_jobs", "Background jobs", "state", _jobs(self.condition))
        runs = {name: int(run.ended_at.timestamp()) for name, run in self.condition.runs.items() if run}
        yield _by("medfiles_last_run_seconds", "Unix time of the last completed run", "run", runs)
        free = {name: size for name, size in self.condition.free.items() if size is not None}
        yield _by("medfiles_storage_free_bytes", "Free bytes per store", "storage", free)
        memory = {str(process.pid): process.memory for process in self.condition.processes}
        yield _by(
            "medfiles_process_resident_bytes", "Resident memory per server process including its workers", "pid", memory
        )


def exposition(condition: Condition) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures(condition))
    return generate_latest(registry)


def _documents(condition: Condition) -> Iterator[Metric]:
    count = GaugeMetricFamily("medfiles_documents", "Documents", labels=["type", "state"])
    size = GaugeMetricFamily("medfiles_document_bytes", "Size of documents in bytes", labels=["type", "state"])
    for kind, kept in condition.kinds.items():
        count.add_metric([kind, "live"], kept.documents)
        count.add_metric([kind, "trashed"], kept.trashed)
        size.add_metric([kind, "live"], kept.size)
        size.add_metric([kind, "trashed"], kept.trashed_size)
    yield from (count, size)


def _one_figure_each(condition: Condition) -> Iterator[Metric]:
    figures = {
        "medfiles_pictures": ("Cached previews", condition.pictures),
        "medfiles_picture_bytes": ("Size of cached previews in bytes", condition.pictures_size),
        "medfiles_pictures_failed": ("Failed previews", condition.not_drawn),
        "medfiles_accounts": ("Accounts that can sign in", condition.accounts),
        "medfiles_patients": ("Patients", condition.patients),
        "medfiles_audit_sealed": ("Sealed audit events", condition.trail.sealed),
        "medfiles_audit_waiting": ("Audit events not sealed yet", condition.trail.waiting),
        "medfiles_scanner_up": ("Whether the malware scanner responds", int(condition.scanner.version is not None)),
        "medfiles_scans_waiting": ("Documents waiting for a malware scan", condition.scanner.waiting),
        "medfiles_scans_unseen": ("Existing documents never scanned", condition.scanner.unseen),
        "medfiles_quarantined": ("Documents in quarantine", len(condition.scanner.quarantined)),
        "medfiles_jobs_late_seconds": ("Seconds the oldest due job has waited", condition.jobs_late),
        "medfiles_sessions": ("Signed-in sessions", condition.sessions),
    }
    figures |= {one.metric: (one.description, one.value) for one in condition.additional}
    for name, (words, value) in figures.items():
        yield GaugeMetricFamily(name, words, value=value)


def _jobs(condition: Condition) -> Mapping[str, int]:
    return {"due": condition.jobs.due, "held": condition.jobs.held, "given_up": condition.jobs.given_up}


def _by(name: str, words: str, label: str, values: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, words, labels=[label])
    for value, figure in values.items():
        family.add_metric([value], figure)
    return family
