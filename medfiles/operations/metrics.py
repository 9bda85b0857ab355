"""The status figures in Prometheus format."""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from medfiles.operations.status import Status


class StatusCollector(Collector):
    def __init__(self, status: Status) -> None:
        self.status = status

    def collect(self) -> Iterator[Metric]:
        yield from _documents(self.status)
        yield from _single_figures(self.status)
        yield _labelled("medfiles_journal_entries", "Objects on their way", "action", vars(self.status.journal))
        yield _labelled("medfiles_findings", "What checks of the store found", "kind", self.status.findings)
        yield _labelled("medfiles_jobs", "Work that nobody waits for", "state", _jobs(self.status))
        runs = {name: int(run.ended_at.timestamp()) for name, run in self.status.runs.items() if run}
        yield _labelled("medfiles_last_run_seconds", "When this work last came to its end, in Unix time", "run", runs)
        free = {name: size for name, size in self.status.free.items() if size is not None}
        yield _labelled("medfiles_storage_free_bytes", "What each store can still take", "storage", free)
        memory = {str(process.pid): process.memory for process in self.status.processes}
        yield _labelled(
            "medfiles_process_resident_bytes", "Memory of each server process and its workers", "pid", memory
        )


def exposition(status: Status) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(StatusCollector(status))
    return generate_latest(registry)


def _documents(status: Status) -> Iterator[Metric]:
    count = GaugeMetricFamily("medfiles_documents", "Documents", labels=["type", "state"])
    size = GaugeMetricFamily("medfiles_document_bytes", "Their bytes", labels=["type", "state"])
    for kind, counts in status.kinds.items():
        count.add_metric([kind, "live"], counts.documents)
        count.add_metric([kind, "trashed"], counts.trashed)
        size.add_metric([kind, "live"], counts.size)
        size.add_metric([kind, "trashed"], counts.trashed_size)
    yield from (count, size)


def _single_figures(status: Status) -> Iterator[Metric]:
    figures = {
        "medfiles_pictures": ("Derived pictures that are kept", status.pictures),
        "medfiles_picture_bytes": ("Their bytes", status.pictures_size),
        "medfiles_pictures_failed": ("Pictures that could not be made", status.failed_pictures),
        "medfiles_older_files": ("Files of the older lab results not moved yet", status.unmigrated),
        "medfiles_accounts": ("Accounts that may sign in", status.accounts),
        "medfiles_patients": ("Patients", status.patients),
        "medfiles_audit_sealed": ("Events of the trail in its chain", status.audit.sealed),
        "medfiles_audit_waiting": ("Events that wait for their seal", status.audit.waiting),
        "medfiles_scanner_up": ("Whether the malware scanner answers", int(status.scanner.version is not None)),
        "medfiles_scans_waiting": ("Documents that wait to be scanned", status.scanner.waiting),
        "medfiles_scans_unseen": ("Older documents that were not scanned", status.scanner.unseen),
        "medfiles_quarantined": ("Documents in quarantine", len(status.scanner.quarantined)),
        "medfiles_jobs_late_seconds": ("How long the oldest job that is due has waited", status.jobs_late),
        "medfiles_sessions": ("Signed-in sessions", status.sessions),
    }
    for name, (description, value) in figures.items():
        yield GaugeMetricFamily(name, description, value=value)


def _jobs(status: Status) -> Mapping[str, int]:
    return {"due": status.jobs.due, "held": status.jobs.held, "given_up": status.jobs.given_up}


def _labelled(name: str, description: str, label: str, values: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, description, labels=[label])
    for value, figure in values.items():
        family.add_metric([value], figure)
    return family
