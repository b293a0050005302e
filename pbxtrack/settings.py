"""The settings' names, types, defaults and limits. :mod:`pbxtrack.config` reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationInfo,
    field_validator,
)

from pbxtrack.errors import ConfigError
from pbxtrack.numbers import InvalidNumber, dialling_prefixes
from pbxtrack.toml_lines import KeyPath


@dataclass(frozen=True, slots=True)
class Address:
    """Where a service listens or is reached; port 0 lets the system choose one to listen on."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``host:port`` or ``[IPv6]:port``; ValueError where it is neither."""
        match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\s:\[\]/@]+)):(\d{1,5})", text.strip(), re.ASCII)
        if match is None or int(match[3]) > 65_535:
            raise ValueError("must be HOST:PORT, such as 127.0.0.1:8080, [::1]:8080 or 0.0.0.0:8080")
        return cls(match[1] or match[2], int(match[3]))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _address(value: object) -> Address:
    if isinstance(value, Address):
        return value
    if not isinstance(value, str):
        raise ValueError("must be a text in quotes: HOST:PORT")
    return Address.parse(value)


def _network(value: str) -> str:
    try:
        ip_network(value, strict=False)
    except ValueError:
        raise ValueError("must be IP addresses or networks, such as 127.0.0.1 or 10.0.0.0/8") from None
    return value


def _region(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("must be a text in quotes, such as RU")
    try:
        dialling_prefixes(value.upper())
    except InvalidNumber:
        raise ValueError("must be a country's ISO 3166 code, such as RU or US") from None
    return value.upper()


def _database_url(value: object) -> object:
    if not isinstance(value, str) or not re.match(r"(sqlite|postgresql)(\+\w+)?://", value):
        raise ValueError("must be sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME")
    return value


def _host(value: str) -> str:
    if not value or re.search(r"[\s/@]", value):
        raise ValueError("must be a host name or an IP address")
    return value.removeprefix("[").removesuffix("]")


Listen = Annotated[Address, BeforeValidator(_address)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_switch(cls, value: Any, info: ValidationInfo) -> Any:
        field = cls.model_fields.get(info.field_name or "")
        if isinstance(value, bool) and field is not None and field.annotation is not bool:
            raise ValueError("must not be true or false")  # Python would take true for the number 1
        return value


class DatabaseSettings(_Section):
    """``url`` as SQLAlchemy writes it; empty only before the default is known. May hold a password.

    ``spool_megabytes`` bounds what of calls a process keeps on disk, in ``data_dir``, while the database is away.
    """

    url: Annotated[str, BeforeValidator(_database_url)] = Field(default="", repr=False)
    spool_megabytes: int = Field(default=256, ge=1, le=100_000)


class ApiSettings(_Section):
    """The HTTP API. ``trusted_proxies`` (addresses, networks) may say who the client is."""

    listen: Listen = Address("127.0.0.1", 8080)
    trusted_proxies: list[Annotated[str, Field(min_length=1), BeforeValidator(_network)]] = []


class AgiSettings(_Section):
    """FastAGI. ``deadline`` in seconds: how long the service itself takes for an answer at most."""

    listen: Listen = Address("127.0.0.1", 4573)
    deadline: float = Field(default=0.3, gt=0, le=5, allow_inf_nan=False)
    max_sessions: int = Field(default=500, ge=1, le=100_000)


class AmiSettings(_Section):
    """One Asterisk. ``node`` names it in every call, so it must not change later.

    ``cel_file`` is where this machine finds the file that Asterisk writes by ``cel_custom_pbxtrack.conf``: what happens
    while pbxtrack does not listen is taken from there. ``recordings`` is where it finds Asterisk's monitor directory.
    """

    node: str = Field(default="pbx1", pattern=r"^[a-z0-9]{1,32}$")
    host: Annotated[str, BeforeValidator(_host)] = "127.0.0.1"
    port: int = Field(default=5038, ge=1, le=65_535)
    username: str = Field(default="pbxtrack", pattern=r"^[^\r\n]+$")
    secret: SecretStr = SecretStr("")
    cel_file: Path | None = None
    recordings: Path | None = None


class MailSettings(_Section):
    """The SMTP relay. ``upstream`` takes the messages on; without one there is no e-mail tracking.

    ``hostname`` is what it calls itself; none: the machine's name. ``idle_timeout`` is for clients that say nothing,
    ``deadline`` for the upstream while a client waits; both in seconds. ``trusted_fronts`` (addresses, networks) may
    say who the client is, by XCLIENT; with ``proxy_protocol`` by PROXY, and then nobody else may connect.
    """

    listen: Listen = Address("127.0.0.1", 2525)
    upstream: Listen | None = None
    upstream_starttls: bool = False
    hostname: Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$")] | None = None
    max_megabytes: int = Field(default=50, ge=1, le=1000)
    max_recipients: int = Field(default=100, ge=1, le=10_000)
    max_sessions: int = Field(default=200, ge=1, le=10_000)
    idle_timeout: float = Field(default=60.0, ge=1, le=600, allow_inf_nan=False)
    deadline: float = Field(default=20.0, ge=1, le=120, allow_inf_nan=False)
    retry_days: float = Field(default=5.0, gt=0, le=30, allow_inf_nan=False)
    keep_body: bool = False
    certificate: Path | None = None
    certificate_key: Path | None = None
    trusted_fronts: list[Annotated[str, Field(min_length=1), BeforeValidator(_network)]] = []
    proxy_protocol: bool = False


class NumbersSettings(_Section):
    """``default_region`` (ISO 3166): how numbers without a country are read."""

    default_region: Annotated[str, BeforeValidator(_region)] = "RU"


class LogSettings(_Section):
    """What is logged, and how it is written."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a setting comes from. ``text`` is for people: ``pbxtrack.toml:12``, a variable's or a file's name."""

    kind: Literal["env", "credential", "file", "default"]
    text: str


class Settings(_Section):
    """Every setting, checked; immutable."""

    data_dir: Path = Path()
    database: DatabaseSettings = DatabaseSettings()
    api: ApiSettings = ApiSettings()
    agi: AgiSettings = AgiSettings()
    ami: list[AmiSettings] = Field(default=[AmiSettings()], min_length=1)
    mail: MailSettings = MailSettings()
    numbers: NumbersSettings = NumbersSettings()
    log: LogSettings = LogSettings()

    _file: Path | None = PrivateAttr(default=None)
    _origins: dict[KeyPath, Origin] = PrivateAttr(default_factory=dict)

    def remember(self, file: Path | None, origins: dict[KeyPath, Origin]) -> None:
        """Keep where the settings were read from."""
        self._file, self._origins = file, origins

    @property
    def file(self) -> Path | None:
        """The settings file that was read, if there was one."""
        return self._file

    def origin(self, path: KeyPath) -> Origin:
        """Where the setting at ``path``, such as ``("ami", 0, "secret")``, comes from."""
        return self._origins.get(path, Origin("default", "default"))

    def make_data_dir(self) -> Path:
        """The data directory, made if it is not there yet, for its owner alone."""
        try:
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"data_dir: {self.data_dir} cannot be made: {error.strerror}") from None
        return self.data_dir

    def make_database_dir(self) -> None:
        """The data directory, where the database is a file in it; a folder of the user's own choice must exist."""
        if self.database.url.startswith(f"sqlite:///{self.data_dir}/"):
            self.make_data_dir()


SECRETS = frozenset({"database.url", "ami.secret"})
"""Settings that nothing prints."""
