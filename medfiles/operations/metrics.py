"""The status figures in the Prometheus format."""

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
        yield _labelled(
            "medfiles_journal_entries", "Pending entries of the storage journal", "action", vars(self.status.journal)
        )
        yield _labelled("medfiles_findings", "Integrity findings", "kind", self.status.findings)
        layers = {name: int(not reason) for name, reason in self.status.sandbox.items()}
        yield _labelled("medfiles_sandbox_layer", "Whether a layer of the sandbox is active", "layer", layers)
        jobs = {"due": self.status.jobs.due, "held": self.status.jobs.held, "given_up": self.status.jobs.given_up}
        yield _labelled("medfiles_jobs", "Background jobs", "state", jobs)
        yield _labelled("medfiles_text_pages", "Pages read, by source of their text", "source", self.status.texts.pages)
        failures = self.status.texts.failures
        yield _labelled("medfiles_text_failures", "Pages whose text could not be read, by reason", "reason", failures)
        jump = self.status.clock_jump
        times = {"stored": int(jump.stored.timestamp()), "clock": int(jump.clock.timestamp())} if jump else {}
        yield _labelled("medfiles_clock_jump_seconds", "Unix times of the last clock jump", "time", times)
        runs = {name: int(run.ended_at.timestamp()) for name, run in self.status.runs.items() if run}
        yield _labelled("medfiles_last_run_seconds", "Unix time of the last completed run", "run", runs)
        free = {name: size for name, size in self.status.free.items() if size is not None}
        yield _labelled("medfiles_storage_free_bytes", "Free bytes per store", "storage", free)
        memory = {str(process.pid): process.memory for process in self.status.processes}
        yield _labelled(
            "medfiles_process_resident_bytes", "Resident memory per server process including its workers", "pid", memory
        )


def exposition(status: Status) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(StatusCollector(status))
    return generate_latest(registry)


def _documents(status: Status) -> Iterator[Metric]:
    count = GaugeMetricFamily("medfiles_documents", "Documents", labels=["type", "state"])
    size = GaugeMetricFamily("medfiles_document_bytes", "Size of documents in bytes", labels=["type", "state"])
    for kind, counts in status.kinds.items():
        count.add_metric([kind, "live"], counts.documents)
        count.add_metric([kind, "trashed"], counts.trashed)
        size.add_metric([kind, "live"], counts.size)
        size.add_metric([kind, "trashed"], counts.trashed_size)
    yield from (count, size)


def _single_figures(status: Status) -> Iterator[Metric]:
    figures = {
        "medfiles_pictures": ("Cached previews", status.pictures),
        "medfiles_picture_bytes": ("Size of cached previews in bytes", status.pictures_size),
        "medfiles_pictures_failed": ("Failed previews", status.failed_pictures),
        "medfiles_accounts": ("Accounts that can sign in", status.accounts),
        "medfiles_patients": ("Patients", status.patients),
        "medfiles_audit_sealed": ("Sealed audit events", status.audit.sealed),
        "medfiles_audit_waiting": ("Audit events not sealed yet", status.audit.waiting),
        "medfiles_scanner_up": ("Whether the malware scanner responds", int(status.scanner.version is not None)),
        "medfiles_scans_waiting": ("Documents waiting for a malware scan", status.scanner.waiting),
        "medfiles_scans_unseen": ("Existing documents never scanned", status.scanner.unseen),
        "medfiles_texts_waiting": ("Documents whose text is still to be read", status.texts.waiting),
        "medfiles_quarantined": ("Documents in quarantine", len(status.scanner.quarantined)),
        "medfiles_jobs_late_seconds": ("Seconds the oldest due job has waited", status.jobs_late),
        "medfiles_sessions": ("Signed-in sessions", status.sessions),
        "medfiles_clock_jumped": ("Whether the clock jumped within a day of running", int(bool(status.clock_jump))),
    }
    figures |= {one.metric: (one.description, one.value) for one in status.additional}
    for name, (description, value) in figures.items():
        yield GaugeMetricFamily(name, description, value=value)


def _labelled(name: str, description: str, label: str, values: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, description, labels=[label])
    for value, figure in values.items():
        family.add_metric([value], figure)
    return family
