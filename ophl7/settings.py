"""Every setting of ophl7: the environment variables OPHL7_*, read once into one frozen value.

The model below is the one table: names, defaults, meanings, secrets. `ophl7 config`, the reference page and the check for
unknown names are made from it. Nothing else in ophl7 knows pydantic but the reader of profiles; nothing else reads the
environment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ophl7 import units
from ophl7.domain.office_hours import ClosedDays, Week, read_closed_days, read_week
from ophl7.domain.profile import Profile
from ophl7.errors import SettingsError
from ophl7.hl7v2 import charset
from ophl7.hl7v2.ack import AckMode
from ophl7.mllp.sender import Address as PeerAddress
from ophl7.mllp.sender import parse_url
from ophl7.mllp.tls_combinations import misfit
from ophl7.profiles import reading as profiles
from ophl7.units import Address, Retry

PREFIX = "OPHL7_"
PLUGIN_PREFIX = "OPHL7_PLUGIN_"  # options of plugins: checked by the plugin that owns them, not here
SYSTEM_ZONE = "system"

Networks = tuple[IPv4Network | IPv6Network, ...]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """One setting as people see it. `default` is the text that one would write; `planned` names a part not there yet."""

    name: str
    default: str
    meaning: str
    secret: bool = False
    planned: str = ""
    refuse_default: bool = False  # even writing the default would promise what the missing part does


@dataclass(frozen=True, slots=True)
class Shown:
    """One line of `ophl7 config`. `origin`: `default`, `environment` or `file PATH`; the value of a secret is masked."""

    row: Row
    value: str
    origin: str


def _setting(default: str, meaning: str, **about: str | bool) -> Any:  # noqa: ANN401 - as pydantic.Field, typed by the annotation
    """A field whose default is the text that one would write. `about`: secret, planned, refuse_default of its Row."""
    return Field(default=default, validate_default=True, description=meaning, json_schema_extra=dict(about))


def _secret(text: str) -> SecretStr | None:
    return SecretStr(units.token(text)) if text else None


def _read(reader: Callable[[str], object]) -> PlainValidator:
    """A field's only validator: every value, default or not, begins as a text."""
    return PlainValidator(reader)


def _or_none(reader: Callable[[str], T]) -> Callable[[str], T | None]:
    return lambda text: reader(text) if text else None


def _charset(text: str) -> str:
    codec = charset.codec(text)
    if codec is None:
        raise ValueError("is no charset that can be forced; write for example UTF-8, 8859/1 or windows-1252")
    return codec


_Seconds = Annotated[float, _read(units.duration)]
_PositiveSeconds = Annotated[float, _read(units.positive_duration)]
_Side = Annotated[Literal["pm", "emr"], _read(units.one_of("pm", "emr"))]
_Listen = Annotated[Address, _read(units.listen_address)]
_Level = Annotated[Literal["debug", "info", "warning", "error"], _read(units.one_of("debug", "info", "warning", "error"))]
_Folders = Annotated[tuple[Path, ...], _read(units.folders)]
_File = Annotated[Path | None, _read(_or_none(Path))]
_ClientAuth = Annotated[Literal["none", "want", "must"], _read(units.one_of("none", "want", "must"))]


class PeerSettings(BaseModel):
    """What is set for one peer. Times in seconds, sizes in bytes, absent as None or empty."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    listen: _Listen
    url: Annotated[PeerAddress | None, _read(_or_none(parse_url))] = _setting(
        "", "where to deliver: mllp://host:port or mllps://host:port; unset = messages wait in the queue, nothing is lost"
    )
    authority: Annotated[str, _read(units.namespace)]
    profile: Annotated[Profile, _read(profiles.read)] = _setting(
        "generic",
        "a TOML file or the name of a shipped profile: status codes, field owners, code tables, quirks of one product",
    )
    ack_mode: Annotated[AckMode, _read(units.one_of("auto", "original", "accept", "none"))] = _setting(
        "auto",
        "answers: auto = CA/CE/CR where MSH-15 asks for it, else AA/AE/AR; original = always AA; accept = always CA; none",
    )
    names: Annotated[frozenset[tuple[str, str | None]], _read(units.link_names)] = _setting(
        "",
        "what this peer writes into MSH-3, or MSH-3 and MSH-4 with a bar between; others are taken with a warning; empty = any",
    )
    ignore_events: Annotated[frozenset[str], _read(units.events)] = _setting("", "e.g. ORU^R01,ADT^A60: answered AA, no effect")
    control_id: Annotated[Literal["unique", "weak"], _read(units.one_of("unique", "weak"))] = _setting(
        "unique", "weak for senders whose MSH-10 repeats"
    )
    encoding: Annotated[str | None, _read(_or_none(_charset))] = _setting(
        "", "forces one charset; unset = MSH-18, else UTF-8 strictly, else Windows-1252"
    )
    max_bytes: Annotated[int, _read(units.size_within("1KiB", "64MiB"))] = _setting("1MiB", "largest frame that is taken")
    max_connections: Annotated[int, _read(units.number(1, 10_000))] = _setting("64", "connections of this peer at once")
    frame_timeout: _PositiveSeconds = _setting("30s", "how long a frame may stall half way")
    idle_timeout: _Seconds = _setting("0", "how long a line may be quiet; 0 = for ever")
    allow: Annotated[Networks, _read(units.networks)] = _setting("", "CIDR list of addresses that may connect; empty = all")
    tls_cert: _File = _setting(
        "", "file with our certificate and its chain (PEM): the listener speaks TLS only, and mllps:// shows it when asked"
    )
    tls_key: _File = _setting("", "file with the key of that certificate (PEM, without a password)")
    tls_ca: _File = _setting(
        "", "file with the certificates that the peer's must be signed by; unset = for mllps:// those that this machine trusts"
    )
    tls_client_auth: _ClientAuth = _setting(
        "none", "whether the listener asks for a certificate: none, want (checked if shown) or must"
    )
    ack_timeout: _PositiveSeconds = _setting("30s", "wait for the peer's answer to what we send")
    retry: Annotated[Retry, _read(units.delays)] = _setting("10s..15m", "first and longest delay between tries")
    connections: Annotated[int, _read(units.number(1, 64))] = _setting(
        "1", "parallel connections to the peer; order per patient is kept"
    )
    nack_default: Annotated[Literal["park", "retry"], _read(units.one_of("park", "retry"))] = _setting(
        "park", "a bare AE/AR: park or retry"
    )
    on_timeout: Annotated[Literal["resend", "review"], _read(units.one_of("resend", "review"))] = _setting(
        "resend", "silence: resend (same bytes, same MSH-10), or review: a person decides whether it has arrived"
    )
    silence: _Seconds = _setting("2h", "office time without a message of this peer after which an alarm rings; 0 = never")

    @field_validator("names")
    @classmethod
    def _strict_profiles_need_names(cls, names: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - a validator hands on what it got
        profile = info.data.get("profile")
        if profile is not None and profile.messages.strict and not names:  # else nobody or everybody would be refused (#83)
            raise ValueError(
                f"the profile {profile.name} refuses other names than the link's (messages.strict), and none are named; "
                "say what this peer writes into MSH-3, or leave strict out of the profile"
            )
        return names

    @field_validator("tls_key", "tls_ca", "tls_client_auth")
    @classmethod
    def _tls_fits_together(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - a validator hands on what it got
        if (wrong := misfit(info.field_name or "", value, info.data)) is not None:
            raise ValueError(wrong)
        return value


class PmSettings(PeerSettings):
    """The practice management system."""

    listen: _Listen = _setting("127.0.0.1:2575", "MLLP listener for the PM; port 0 picks a free one")
    authority: Annotated[str, _read(units.namespace)] = _setting("PM", "assigning authority of ids that come without one")


class EmrSettings(PeerSettings):
    """The electronic medical record."""

    listen: _Listen = _setting("127.0.0.1:2576", "MLLP listener for the EMR; port 0 picks a free one")
    authority: Annotated[str, _read(units.namespace)] = _setting("EMR", "assigning authority of ids that come without one")


class Settings(BaseSettings):
    """All settings. Made by :func:`load`; frozen. Times in seconds, sizes in bytes."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix=PREFIX)

    pm: PmSettings
    emr: EmrSettings
    http_listen: _Listen = _setting("127.0.0.1:8080", "console, API, health, metrics; port 0 picks a free one")
    database_url: Annotated[str, _read(lambda text: str(units.sqlite_path(text)) and text)] = _setting(
        "sqlite:///ophl7.db", "the database; four slashes for a full path: sqlite:////data/ophl7.db"
    )
    patient_authority: _Side = _setting("pm", "pm or emr: who owns patient ids and demographics")
    schedule_authority: _Side = _setting("pm", "pm or emr: who owns the schedule")
    foreign_fields: Annotated[Literal["strip", "reject", "hold"], _read(units.one_of("strip", "reject", "hold"))] = _setting(
        "strip", "what happens to fields that the sender does not own: strip, reject or hold"
    )
    timezone: Annotated[ZoneInfo, _read(units.zone)] = _setting(
        SYSTEM_ZONE, "IANA zone of the practice; times without a zone are in it; unset = the system's"
    )
    learn_until: Annotated[date | None, _read(_or_none(units.day))] = _setting(
        "", "last day on which unknown patients are learned from any complete message, e.g. 2026-03-31; unset = never"
    )
    processing_id: Annotated[frozenset[str] | Literal["any"], _read(units.processing_ids)] = _setting(
        "P", "a list, or any; messages with another MSH-11 get AR 202"
    )
    api_token: Annotated[SecretStr | None, _read(_secret)] = _setting(
        "", "bearer token of API and console; unset = made at start and printed once as a link", secret=True
    )
    plugins: Annotated[tuple[str, ...], _read(units.plugin_names)] = _setting(
        "", "installed plugins to enable besides the shipped ones; -name switches a shipped one off"
    )
    handlers_path: _Folders = _setting("", "folders of drop-in handlers, between colons")
    plugins_path: _Folders = _setting("", "folders of drop-in rules and plugins, between colons")
    retention: Annotated[float, _read(units.duration_from("8d"))] = _setting(
        "90d", "how long the bytes of settled messages are kept, 8d at least; what is undelivered, held or disputed never goes"
    )
    audit_retention: _PositiveSeconds = _setting(
        "6y", "how long audit rows are kept, and what was decided about a message after its bytes are gone"
    )
    disk_reserve: Annotated[int, _read(units.size_within("0", "1024GiB"))] = _setting(
        "256MiB", "free disk space below which nothing is accepted, so that what was accepted can still be delivered"
    )
    office_hours: Annotated[Week, _read(read_week)] = _setting(
        "Mon-Fri 08:00-18:00", "when somebody is there to hear an alarm: days and times in the practice's zone, or always"
    )
    closed_days: Annotated[ClosedDays, _read(read_closed_days)] = _setting(
        "", "days without office hours: 2026-11-27 for one day, 12-25 for that day of each year"
    )
    queue_age: _PositiveSeconds = _setting(
        "15m", "office time that a message may wait for delivery, or a link be down, before an alarm rings"
    )
    queue_depth: Annotated[int, _read(units.number(1, 1_000_000))] = _setting(
        "1000", "messages that may wait for one destination before an alarm rings"
    )
    alarm_webhook: Annotated[SecretStr | None, _read(_or_none(lambda text: SecretStr(units.web_address(text))))] = _setting(
        "", "where alarms are posted to as JSON when they open and when they end: https://host/path", secret=True
    )
    alarm_webhook_key: Annotated[SecretStr | None, _read(_secret)] = _setting(
        "", "signs what is posted: header X-Ophl7-Signature, HMAC-SHA256 of the body", secret=True
    )
    log_format: Annotated[Literal["auto", "json", "console"], _read(units.one_of("auto", "json", "console"))] = _setting(
        "auto", "json or console; auto = json, but console on a terminal"
    )
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], _read(units.one_of("debug", "info", "warning", "error"))
    ] = _setting("info", "debug, info, warning or error; no patient data at any level")
    shutdown_grace: _Seconds = _setting("25s", "on SIGTERM: how long open work may take")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what :func:`load` hands over: the process's environment and dotenv files are never read behind its back."""
        return (init_settings,)

    @field_validator("schedule_authority")
    @classmethod
    def _one_side_cannot_schedule_for_unowned_patients(cls, side: str, info: ValidationInfo) -> str:
        if side == "pm" and info.data.get("patient_authority") == "emr":  # decisions 1: the fourth set-up
            raise ValueError("cannot be pm while OPHL7_PATIENT_AUTHORITY is emr; write emr, or give the patients to pm")
        return side

    @field_validator("emr", "http_listen")
    @classmethod
    def _listeners_do_not_meet(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - a validator hands on what it got
        address = value.listen if isinstance(value, PeerSettings) else value
        for other in ("pm", "emr"):
            taken = info.data.get(other)
            if taken is not None and _same_socket(address, taken.listen):
                raise ValueError(f"listens where OPHL7_{other.upper()}_LISTEN does ({taken.listen}); give it another port")
        return value

    @field_validator("audit_retention")
    @classmethod
    def _rows_outlive_their_bytes(cls, seconds: float, info: ValidationInfo) -> float:
        if seconds < info.data.get("retention", 0.0):
            raise ValueError("is shorter than OPHL7_RETENTION; what was decided is kept as long as the bytes at least")
        return seconds

    @property
    def database_path(self) -> Path:
        """The SQLite file."""
        return Path(units.sqlite_path(self.database_url))

    def peer(self, name: str) -> PeerSettings:
        """The settings of `pm` or `emr`. Raises KeyError for any other name."""
        return {"pm": self.pm, "emr": self.emr}[name]


def _same_socket(one: Address, other: Address) -> bool:
    everywhere = {"0.0.0.0", "::"}  # noqa: S104 - compared, not bound
    return one.port == other.port != 0 and (one.host == other.host or bool({one.host, other.host} & everywhere))


def settings_table() -> list[Row]:
    """Every setting, peers first, in the order of the reference page. `OPHL7_PLUGIN_*` belong to plugins and are not listed."""
    return [row for row, _ in _rows()]


def load(environ: Mapping[str, str]) -> Settings:
    """The settings in `environ` (usually os.environ). An empty value counts as unset.

    Reads no other source but the files that NAME_FILE settings point to, and the system's time zone.
    Raises SettingsError with every fault at once: unknown names, unreadable values, a secret given twice, parts not there yet.
    """
    texts, faults = _texts(environ)
    values: dict[str, Any] = {"pm": {}, "emr": {}}
    names: dict[tuple[str, ...], str] = {("emr",): "OPHL7_EMR_LISTEN"}
    for row, path in _rows():
        names[path] = row.name
        text, _ = texts.get(row.name, ("", ""))
        if row.planned and text and (text != row.default or row.refuse_default):
            faults.append(f"{row.name}: {row.planned} is not there yet; leave this setting out")
        elif text:
            target = values if len(path) == 1 else values[path[0]]
            target[path[-1]] = text
    values.setdefault("timezone", system_timezone(environ))
    try:
        settings = Settings(**values)
    except ValidationError as error:
        shown = {row.name: _masked(row, texts.get(row.name, (row.default, ""))[0]) for row in settings_table()}
        for fault in error.errors(include_url=False, include_input=False):
            name = names[tuple(str(part) for part in fault["loc"])]
            text, what = repr(shown[name]), fault["msg"].removeprefix("Value error, ")
            what = what.replace("<PEER>", str(fault["loc"][0]).upper())  # a peer's model does not know whose it is
            faults.append(f"{name}: {what}" if what.startswith((text, "the ")) else f"{name}: {text} {what}")
        raise SettingsError(sorted(faults)) from None
    if faults:
        raise SettingsError(sorted(faults))
    return settings


def describe(environ: Mapping[str, str]) -> list[Shown]:
    """Every setting with its value (secrets masked) and where it came from. Raises SettingsError like :func:`load`."""
    load(environ)
    texts, _ = _texts(environ)
    shown: list[Shown] = []
    for row in settings_table():
        text, origin = texts.get(row.name, ("", ""))
        if text:
            shown.append(Shown(row, _masked(row, text), origin))
        else:
            default = system_timezone(environ) if row.default == SYSTEM_ZONE else row.default
            shown.append(Shown(row, default, "default"))
    options = (Row(name, "", "an option of a plugin") for name in sorted(environ) if name.startswith(PLUGIN_PREFIX))
    shown.extend(Shown(row, "(read by its plugin)", "environment") for row in options)
    return shown


def system_timezone(environ: Mapping[str, str], localtime: Path = Path("/etc/localtime")) -> str:
    """The IANA name of this system's zone: TZ, else where `localtime` points, else UTC."""
    name = environ.get("TZ", "").removeprefix(":")
    if not name and localtime.is_symlink():
        name = str(localtime.resolve()).partition("/zoneinfo/")[2]
    try:
        return ZoneInfo(name).key
    except (ValueError, OSError, KeyError):
        return "UTC"


def _rows() -> Iterator[tuple[Row, tuple[str, ...]]]:
    """Each row with the path of its field in the model."""
    for peer, model in (("pm", PmSettings), ("emr", EmrSettings)):
        for field, info in model.model_fields.items():
            yield (
                _row(f"{PREFIX}{peer.upper()}_{field.upper()}", info.default, info.description, info.json_schema_extra),
                (peer, field),
            )
    for field, info in Settings.model_fields.items():
        if field not in ("pm", "emr"):
            yield _row(f"{PREFIX}{field.upper()}", info.default, info.description, info.json_schema_extra), (field,)


def _row(name: str, default: str, meaning: str | None, about: Any) -> Row:  # noqa: ANN401 - pydantic's wide type
    return Row(name, default, meaning or "", **about)


def _texts(environ: Mapping[str, str]) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """Name -> (text, origin) of everything that is set, and the faults of names and of secret files."""
    rows = {row.name: row for row in settings_table()}
    files = {f"{row.name}_FILE": row for row in rows.values() if row.secret}
    texts: dict[str, tuple[str, str]] = {}
    faults: list[str] = []
    for name in sorted(name for name in environ if name.startswith(PREFIX)):
        text = environ[name].strip()
        if name in rows:
            if text:
                texts[name] = (text, "environment")
        elif name in files:
            if text and environ.get(files[name].name, "").strip():
                faults.append(f"{files[name].name} and {name} are both set; keep one of them")
            elif text:
                _read_secret(Path(text), name, files[name], texts, faults)
        elif not name.startswith(PLUGIN_PREFIX):
            faults.append(_unknown(name, [*rows, *files]))
    return texts, faults


def _read_secret(path: Path, name: str, row: Row, texts: dict[str, tuple[str, str]], faults: list[str]) -> None:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        faults.append(f"{name}: {str(path)!r} cannot be read ({reason})")
        return
    if text:
        texts[row.name] = (text, f"file {path}")
    else:
        faults.append(f"{name}: {str(path)!r} is empty")


def _unknown(name: str, known: list[str]) -> str:
    plain = name.removesuffix("_FILE")  # only secrets can come from a file
    near = plain if plain in known else get_close_matches(name, known, n=1, cutoff=0.0)[0]
    return f"{name}: there is no such setting; did you mean {near}?"


def _masked(row: Row, text: str) -> str:
    if row.secret:
        return "********" if text else ""
    return re.sub(r"(://[^/@:]*:)[^/@]*@", r"\1********@", text)
