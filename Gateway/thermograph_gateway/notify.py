"""Tells people by e-mail or webhook that captures wait, that somebody asks to be called, or that a device raised an alert.

No patient's datum goes out.
"""

from __future__ import annotations

import smtplib
import ssl
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import requests
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import SandboxedEnvironment

from .catalogue import Catalogue
from .errors import GatewayError
from .ledger import Ledger

ATTEMPTS_MAXIMUM = 8
FIRST_RETRY_SECONDS = 60
TIMEOUT_SECONDS = 20
SCHEMA = "thermograph.notification.v1"
TEMPLATE = """\
{% if calls %}{{ calls }} {{ "person asks" if calls == 1 else "people ask" }} to be called: see the worklist.
{% endif %}
{% if unread %}{{ unread }} new captures wait for a reader ({{ sites }}).
{% endif %}
{% for alert in alerts %}
Alert {{ alert.code }} ({{ alert.severity }}) from {{ alert.site }}/{{ alert.device }}, {{ alert.count }} times.
{% endfor %}
{% if link %}{{ link }}
{% endif %}
"""


@dataclass(frozen=True)
class Settings:
    """The file of `--notifications`; secrets are files, never values."""

    interval_seconds: int = 900
    link: str = ""
    template: str = TEMPLATE
    smtp_host: str = ""
    smtp_port: int = 587
    smtp_starttls: bool = True
    smtp_user: str = ""
    smtp_password_file: str = ""
    sender: str = ""
    recipients: tuple[str, ...] = ()
    webhook: str = ""

    @property
    def channels(self) -> tuple[str, ...]:
        return (("mail",) if self.smtp_host else ()) + (("webhook",) if self.webhook else ())


def read_settings(path: Path) -> Settings:
    """A TOML file with the members of `Settings`. Raises GatewayError that names every unknown key."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise GatewayError(f"{path}: {error}") from error
    known = Settings.__dataclass_fields__
    if unknown := sorted(set(values) - set(known)):
        raise GatewayError(f"{path}: unknown keys {', '.join(unknown)}; expected {', '.join(known)}")
    defaults = Settings()
    for name, value in values.items():
        expected = list if name == "recipients" else type(getattr(defaults, name))
        if type(value) is not expected:
            raise GatewayError(f"{path}: {name} is no {expected.__name__}")
    if "template" in values:
        try:
            values["template"] = Path(path.parent, values["template"]).read_text(encoding="utf-8")
        except OSError as error:
            raise GatewayError(f"{path}: template: {error}") from error
    values["recipients"] = tuple(str(item) for item in values.get("recipients", []))
    settings = Settings(**values)
    if settings.smtp_host and not (settings.sender and settings.recipients):
        raise GatewayError(f"{path}: smtp_host needs sender and recipients")
    if settings.webhook and not settings.webhook.startswith(("https://", "http://127.0.0.1", "http://localhost")):
        raise GatewayError(f"{path}: webhook must be https outside this machine")
    if not settings.channels:
        raise GatewayError(f"{path}: neither smtp_host nor webhook")
    if settings.interval_seconds < 60:
        raise GatewayError(f"{path}: interval_seconds {settings.interval_seconds}; expected 60 or more")
    return settings


class Notifier:
    """Gathers what is new into one message a channel and interval, and sends it until it is taken or given up."""

    def __init__(
        self,
        catalogue: Catalogue,
        settings: Settings,
        clock: Callable[[], float],
        senders: Mapping[str, Callable[[Settings, str], None]] | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._ledger: Ledger = catalogue.ledger
        self._settings = settings
        self._clock = clock
        self._senders = senders or {"mail": send_mail, "webhook": send_webhook}

    def gather(self) -> bool:
        """Makes a message of what nobody was told yet; none before the interval has passed. Whether one was made."""
        now = self._clock()
        last = self._ledger.connection.execute("SELECT max(made) FROM notification").fetchone()[0]
        if last is not None and now < last + self._settings.interval_seconds:
            return False
        captures = self._ledger.connection.execute(
            "SELECT capture_id, site FROM capture c WHERE withdrawn = 0"
            " AND NOT EXISTS (SELECT 1 FROM noticed WHERE subject = c.capture_id)"
            " AND NOT EXISTS (SELECT 1 FROM reading r WHERE r.capture_id = c.capture_id)"
        ).fetchall()
        calls = self._ledger.connection.execute(
            "SELECT id FROM call c WHERE called_at = '' AND NOT EXISTS (SELECT 1 FROM noticed WHERE subject = c.id)"
        ).fetchall()
        known = {row["subject"] for row in self._ledger.connection.execute("SELECT subject FROM noticed")}
        alerts: Counter[tuple[str, str, str, str]] = Counter()
        subjects = [row["capture_id"] for row in captures] + [row["id"] for row in calls]
        for message in self._catalogue.source.alerts():
            subject = f"{message.site}/{message.device}/{message.name}"
            if subject not in known:
                # Code and severity are from a fixed list; the detail is free text and stays here.
                code, severity = (_word(message.content.get(name)) for name in ("code", "severity"))
                alerts[(message.site, message.device, code, severity)] += 1
                subjects.append(subject)
        if not subjects:
            return False
        body = self._body([row["site"] for row in captures], alerts, len(calls))
        with self._ledger.transaction() as connection:
            connection.executemany(
                "INSERT INTO noticed (subject) VALUES (?) ON CONFLICT DO NOTHING", [(subject,) for subject in subjects]
            )
            connection.executemany(
                "INSERT INTO notification (channel, body, made, due, state) VALUES (?, ?, ?, ?, 'waiting')",
                [(channel, body, now, now) for channel in self._settings.channels],
            )
        return True

    def _body(self, sites: list[str], alerts: Counter[tuple[str, str, str, str]], calls: int) -> str:
        environment = SandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True)
        values: dict[str, Any] = {
            "unread": len(sites),
            "calls": calls,
            "sites": ", ".join(sorted(set(sites))),
            "link": self._settings.link,
            "alerts": [
                {"site": site, "device": device, "code": code, "severity": severity, "count": count}
                for (site, device, code, severity), count in sorted(alerts.items())[:50]
            ],
        }
        try:
            return environment.from_string(self._settings.template).render(values)
        except TemplateError as error:
            raise GatewayError(f"the template of notifications cannot be used: {error}") from error

    def send(self) -> int:
        """Sends what is due; how many were taken. A refused one waits twice as long each time."""
        now = self._clock()
        taken = 0
        for row in self._ledger.connection.execute(
            "SELECT id, channel, body, attempts FROM notification WHERE state = 'waiting' AND due <= ? ORDER BY id LIMIT 20",
            (now,),
        ).fetchall():
            try:
                self._senders[row["channel"]](self._settings, row["body"])
                state, problem = "sent", ""
                taken += 1
            except (OSError, smtplib.SMTPException, requests.RequestException, GatewayError) as error:
                state = "given-up" if row["attempts"] + 1 >= ATTEMPTS_MAXIMUM else "waiting"
                problem = f"{type(error).__name__}: {error}"[:300]
            self._ledger.connection.execute(
                "UPDATE notification SET state = ?, problem = ?, attempts = attempts + 1, due = ? WHERE id = ?",
                (state, problem, now + FIRST_RETRY_SECONDS * 2 ** row["attempts"], row["id"]),
            )
        return taken


def _word(value: object) -> str:
    text = str(value)[:40]
    return text if text and all(c.isascii() and (c.isalnum() or c == "-") for c in text) else "unknown"


def send_mail(settings: Settings, body: str) -> None:
    """One message to all recipients."""
    message = EmailMessage()
    message["Subject"] = "Thermograph: something waits for you"
    message["From"] = settings.sender
    message["To"] = ", ".join(settings.recipients)
    message.set_content(body)
    with smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=TIMEOUT_SECONDS) as server:
        if settings.smtp_starttls:
            server.starttls(context=ssl.create_default_context())
        if settings.smtp_user:
            server.login(settings.smtp_user, Path(settings.smtp_password_file).read_text(encoding="utf-8").strip())
        server.send_message(message)


def send_webhook(settings: Settings, body: str) -> None:
    """The text in a JSON object."""
    answer = requests.post(
        settings.webhook, json={"schema": SCHEMA, "text": body}, timeout=TIMEOUT_SECONDS, allow_redirects=False
    )
    if answer.status_code // 100 != 2:
        raise GatewayError(f"the webhook answers with status {answer.status_code}")
