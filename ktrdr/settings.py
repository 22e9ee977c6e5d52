"""Reads settings from the environment and from `.env`; no other module does."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from platformdirs import user_data_path
from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from ktrdr.errors import InputError
from ktrdr.masking import MASK, masked, names_a_secret

_ROOT_PATH = re.compile(r"(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*", re.ASCII)
_OWN_PATHS = ("api", "docs", "metrics", "openapi.json", "reference", "web")
_WILDCARD_HOSTS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


def _to_upper(value: object) -> object:
    """A valid level in upper case; anything else unchanged, so that the error shows the original."""
    level = str(value).upper()
    return level if level in get_args(LogLevel) else value


class Settings(BaseSettings):
    """All settings: environment variables of the same names (see `.env.example`); an empty one counts as unset."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        validate_default=True,
    )

    log_level: Annotated[LogLevel, BeforeValidator(_to_upper)] = Field(
        "INFO", description="Least severe level that is logged."
    )
    operations_cache_ttl: float = Field(
        1.0, ge=0, le=3600, description="Seconds for which a running operation's view is served from the cache."
    )
    ktrdr_home: Path = Field(
        default_factory=lambda: user_data_path("ktrdr"), description="Folder that holds bars, models, operations, logs."
    )
    ktrdr_api_host: str = Field("127.0.0.1", description="Address that the server listens on.")
    ktrdr_api_port: int = Field(
        8000, ge=0, le=65535, description="Port that the server listens on; 0 picks a free one."
    )
    ktrdr_api_url: str = Field("", description="Where the command line finds the server; default: host and port above.")
    ktrdr_api_token: SecretStr = Field(
        SecretStr(""), description="Token that every request but the health check must carry; empty: none is asked for."
    )
    ktrdr_allowed_hosts: str = Field(
        "localhost,127.0.0.1,::1",
        description="Names, separated by commas, under which a server without a token may be called; * for any.",
    )
    ktrdr_root_path: str = Field(
        "", description="Path below which a reverse proxy serves this server, such as /ktrdr; empty for the top."
    )
    ktrdr_trusted_proxies: str = Field(
        "",
        description="Addresses, separated by commas, of reverse proxies whose X-Forwarded headers are believed; * for "
        "any.",
    )
    ktrdr_max_connections: int = Field(
        2000,
        ge=8,
        le=1_000_000,
        description="Open connections to the server, at most a quarter of the files that it may open; "
        "beyond them the one that has waited the longest for its client is closed.",
    )
    ktrdr_request_timeout: float = Field(
        10.0,
        gt=0,
        le=3600,
        description="Seconds in which a request's header must be whole, and for which its body may stand still.",
    )
    ktrdr_database_url: str = Field(
        "", description="SQLAlchemy URL of the registry; default: a SQLite file in KTRDR_HOME."
    )
    ktrdr_max_concurrent: int = Field(
        default_factory=lambda: max(1, _usable_cores() // 2),
        ge=1,
        le=1024,
        description="Trainings that run at once; default: one per two cores.",
    )
    ktrdr_standby_workers: int = Field(
        1, ge=0, le=64, description="Idle worker processes kept warm, so that a training starts at once."
    )
    ktrdr_worker_start: Literal["fork", "spawn"] = Field(
        default_factory=lambda: "fork" if sys.platform == "linux" else "spawn",
        description="How workers start: as forks of one warm process (Linux), or each from nothing.",
    )
    ktrdr_stall_timeout: float = Field(
        300.0, gt=0, description="Seconds of silence after which a running operation is shown as stalled."
    )
    ktrdr_stall_fails: bool = Field(False, description="Whether a stalled operation is ended as FAILED.")

    ktrdr_cache_limit: int = Field(
        2_000_000_000,
        ge=0,
        description="Bytes that the cache of datasets in KTRDR_HOME may take; what was used longest ago goes first.",
    )
    ktrdr_plugins: str = Field(
        "",
        description="Python files with features, labels and networks of your own, separated by : (on Windows by ;).",
    )
    ktrdr_import_max_rows: int = Field(
        20_000_000, ge=1, description="Rows of a file that is imported; a larger one is refused before it is read."
    )
    ktrdr_ib_host: str = Field("127.0.0.1", description="Where TWS or IB Gateway runs, for the provider ib.")
    ktrdr_ib_port: int = Field(
        7497, ge=1, le=65535, description="Its port: TWS 7497 (paper) or 7496, Gateway 4002 (paper) or 4001."
    )
    ktrdr_yahoo_url: str = Field(
        "", description="What the provider yahoo asks instead of Yahoo itself, such as a caching proxy."
    )

    @field_validator("ktrdr_root_path")
    @classmethod
    def _check_root_path(cls, path: str) -> str:
        root = path.rstrip("/")
        if not _ROOT_PATH.fullmatch(root):
            raise ValueError("it must be a path such as /ktrdr, of letters, digits, dots, hyphens and underscores")
        if root.split("/")[1:2] and root.split("/")[1] in _OWN_PATHS:
            raise ValueError(f"the server's own paths begin with /{root.split('/')[1]}; choose another name")
        return root

    @field_validator("ktrdr_trusted_proxies")
    @classmethod
    def _check_trusted_proxies(cls, proxies: str) -> str:
        for proxy in filter(None, (proxy.strip() for proxy in proxies.split(","))):
            if proxy != "*":
                ip_network(proxy)
        return proxies

    @field_validator("ktrdr_worker_start")
    @classmethod
    def _fork_on_linux(cls, start: str) -> str:
        if start == "fork" and sys.platform != "linux":
            raise ValueError("workers are forked on Linux only; use spawn")
        return start

    @model_validator(mode="after")
    def _absolute_home(self) -> Self:
        object.__setattr__(self, "ktrdr_home", self.ktrdr_home.expanduser().absolute())
        return self

    @property
    def plugin_files(self) -> tuple[Path, ...]:
        """The files of KTRDR_PLUGINS; relative ones lie in the working directory."""
        named = filter(None, (path.strip() for path in self.ktrdr_plugins.split(os.pathsep)))
        return tuple(Path(path).expanduser().absolute() for path in named)

    @property
    def api_url(self) -> str:
        """The configured URL, or else the address of the server's own host and port as seen from this machine."""
        host = _WILDCARD_HOSTS.get(self.ktrdr_api_host, self.ktrdr_api_host)
        bracketed = f"[{host}]" if ":" in host else host
        return self.ktrdr_api_url.rstrip("/") or f"http://{bracketed}:{self.ktrdr_api_port}"


def read_settings(**overrides: Any) -> Settings:
    """Read the settings. Raises InputError, which names each wrong variable and its value."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        faults = "; ".join(_fault(dict(entry)) for entry in error.errors())
        raise InputError(faults, hint="correct it in the environment or in .env") from None
    except (SettingsError, UnicodeDecodeError, OSError) as error:
        raise InputError(f"the settings cannot be read: {error}") from None


def inherited_environment(more: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with `more` in it, for a program that it starts."""
    return {**os.environ, **more}  # noqa: TID251 (this is the one reader)


def _fault(entry: dict[str, Any]) -> str:
    name, message = "_".join(str(part) for part in entry["loc"]).upper(), str(entry["msg"])
    return f"{name} is {shown(name, entry['input'])!r}: {message[:1].lower()}{message[1:]}"


def shown(name: str, value: object) -> object:
    """The value of a setting without its secrets."""
    if names_a_secret(name) and value:
        return MASK
    return masked(value) if isinstance(value, str) else value
