"""What every command needs: settings resolved, and the servers they do not name found."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from compose.stack import Stack
from projector.declared import learned_domain
from schemas.domain import Domain, load_domain
from schemas.settings import Settings
from schemas.settings_file import load_settings

DEFAULT_CONFIG = Path("memferry.toml")


@Parameter(name="*")
@dataclass(frozen=True)
class Common:
    """Options of every command."""

    config: Annotated[Path | None, Parameter(alias="-c")] = None
    "Settings file; memferry.toml of this directory where it exists."
    domain: str | None = None
    "Importable module with the DOMAIN to work on, e.g. schemas.trading."
    json: Annotated[bool, Parameter(negative=())] = False
    "Print one JSON document instead of text."

    def settings(self) -> Settings:
        """Return flags over environment over file; empty server names become the stack's."""
        path = self.config or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None)
        settings = load_settings(path, {"domain": self.domain})
        return with_stack(settings)

    def load(self) -> tuple[Settings, Domain]:
        """Return the settings, and every kind that they and the log name; asks Kafka."""
        settings = self.settings()
        return settings, learned_domain(settings)

    def load_hand_written(self) -> tuple[Settings, Domain]:
        """Return the settings and the domain that they name: enough for what needs no tables."""
        settings = self.settings()
        return settings, load_domain(settings.domain)


def with_stack(settings: Settings) -> Settings:
    """Fill servers that the settings do not name with the embedded stack's, where it runs."""
    if settings.kafka.bootstrap and settings.postgres.dsn:
        return settings
    endpoints = Stack().endpoints()
    if endpoints is None:
        return settings
    replace = msgspec.structs.replace
    return replace(
        settings,
        kafka=replace(settings.kafka, bootstrap=settings.kafka.bootstrap or endpoints.kafka),
        postgres=replace(settings.postgres, dsn=settings.postgres.dsn or endpoints.postgres),
    )
