"""Check the sandbox when a server or worker starts."""

import structlog

from medfiles.config import SettingError
from medfiles.sandbox.pool import Sandbox, missing_layers

log = structlog.get_logger("medfiles.operations.confinement")


def check_sandbox(sandbox: Sandbox, required: bool) -> None:
    """Log each missing sandbox layer. Raises SettingError if a layer is missing and `required` is set."""
    missing = missing_layers(sandbox.layers())
    for layer, reason in missing.items():
        log.warning("sandbox layer missing", layer=layer, reason=reason)
    if missing and required:
        named = ", ".join(f"{layer} ({reason})" for layer, reason in missing.items())
        raise SettingError(
            f"The sandbox that opens uploaded files is incomplete: {named}. "
            "Fix this, or accept it with MEDFILES_SANDBOX=warn."
        )
