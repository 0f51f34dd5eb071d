"""Settings read: a TOML file, above it the environment, above both what a caller gives."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from schemas.errors import SettingsInvalid
from schemas.settings import Settings


def load_settings(
    path: str | Path | None = None, overrides: Mapping[str, Any] | None = None
) -> Settings:
    """Return the settings of a TOML file under the environment's and then `overrides`' values.

    Shape:   overrides are dotted, `{"kafka.bootstrap": "127.0.0.1:9092"}`; None values are skipped.
    Raises:  SettingsInvalid naming the file and the setting.
    """
    raw: dict[str, Any] = {}
    if path is not None:
        try:
            raw = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:  # not TOML, or not UTF-8
            raise SettingsInvalid(
                f"the settings file cannot be read: {error}",
                where=str(path),
                remedy="name a TOML file, or leave it out and set MEMFERRY_* variables",
            ) from error
        raw.setdefault("directory", str(Path(path).resolve().parent))
    above = _from_environment() | {n: v for n, v in (overrides or {}).items() if v is not None}
    for name, value in above.items():
        _put(raw, name, value)
    if isinstance(raw.get("owns"), str):  # a variable holds no list
        raw["owns"] = [pattern.strip() for pattern in raw["owns"].split(",") if pattern.strip()]
    try:
        settings = msgspec.convert(raw, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsInvalid(
            f"a setting is wrong: {error}",
            where=str(path or "environment and flags"),
            remedy="see docs/settings.md for every setting, its meaning and default",
        ) from error
    return settings


def _from_environment() -> dict[str, str]:
    found: dict[str, str] = {}
    for field in msgspec.structs.fields(Settings):
        nested = isinstance(field.type, type) and issubclass(field.type, msgspec.Struct)
        names = (
            [f"{field.name}.{inner.name}" for inner in msgspec.structs.fields(field.type)]
            if nested
            else [field.name]
        )
        for name in names:
            value = os.environ.get("MEMFERRY_" + name.replace(".", "_").upper())
            if value is not None:
                found[name] = value
    return found


def _put(raw: dict[str, Any], dotted: str, value: Any) -> None:
    section, dot, name = dotted.partition(".")
    if not dot:
        raw[section] = value
    elif isinstance(raw.setdefault(section, {}), dict):  # else it is refused as it stands
        raw[section][name] = value
