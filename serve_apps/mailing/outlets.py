"""Where messages go: to an SMTP server, or without one, on the embedded platform only, into a folder."""

from __future__ import annotations

import mailbox
import re
import smtplib
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import parseaddr
from pathlib import Path
from typing import Protocol

from configs.mail import MailSettings
from configs.settings import EMBEDDED, Settings
from receipts.errors import ReceiptsError, Unavailable

_ENHANCED = re.compile(rb"\s*([245]\.\d{1,3}\.\d{1,3})\b")  # RFC 3463
_PRIVATE = 0o700  # of the folder: what is in it would be read by its recipient alone
_LOST = "The connection to the mail server was lost."
# What the codes of RFC 3463 say that a rep can do something with, by subject and detail.
_REASONS = {
    "1.1": "The mail server knows no such mailbox",
    "1.2": "The mail server knows no such domain",
    "1.3": "The mail server cannot read the address",
    "1.10": "The domain takes no mail",
    "2.1": "The mailbox is closed",
    "2.2": "The mailbox is full",
    "3.4": "The message is too large for the mail server",
    "4.7": "The mail server could not reach the domain in time",
}


class Away(Unavailable):
    """The mail server takes nothing from us at the moment: says why, without personal data."""


class NotTaken(ReceiptsError):
    """A message was not taken: says why, without personal data; `is_final` where trying again is of no use."""

    def __init__(self, reason: str, *, is_final: bool) -> None:
        super().__init__(reason)
        self.is_final = is_final


class Session(Protocol):
    """A conversation in which messages are handed over, one after another. It may block for long."""

    @property
    def is_open(self) -> bool:
        """Say whether another message can be handed over."""
        ...

    def send(self, message: EmailMessage, address: str) -> None:
        """Hand a message over for good. Raises NotTaken."""
        ...

    def hang_up(self) -> None:
        """End what is under way at once, from another thread."""
        ...

    def close(self) -> None:
        """End the conversation."""
        ...


class Outlet(Protocol):
    """A place that takes messages; `place` is its address for people."""

    @property
    def place(self) -> str:
        """Return its address for people."""
        ...

    def open(self) -> Session:
        """Begin a conversation. Raises Away."""
        ...


def outlet_of(settings: Settings) -> Outlet | None:
    """Return where messages go; none where that is not set up."""
    if settings.mail.host:
        return SmtpServer(settings.mail)
    return Folder(settings.state_dir / "mail") if settings.environment == EMBEDDED else None


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """A mail server that sends messages on."""

    settings: MailSettings

    @property
    def place(self) -> str:
        """Return its address for people."""
        scheme = "smtps" if self.settings.security == "tls" else "smtp"
        return f"{scheme}://{self.settings.host}:{self.settings.port}"

    def open(self) -> SmtpSession:
        """Connect, encrypt and sign in. Raises Away."""
        try:
            return SmtpSession(self._connected(), parseaddr(self.settings.sender)[1])
        except smtplib.SMTPAuthenticationError as error:
            raise Away(f"The mail server refuses the login ({error.smtp_code}).") from None
        except smtplib.SMTPResponseException as error:
            raise Away(f"The mail server turns us away ({_code(error.smtp_code, error.smtp_error)}).") from None
        except smtplib.SMTPServerDisconnected:
            raise Away(_LOST) from None
        except smtplib.SMTPNotSupportedError as error:  # smtplib's own sentence: no STARTTLS, no way to sign in
            raise Away(f"The mail server cannot do what mail.security or the login asks for: {error}") from None
        except smtplib.SMTPException:
            raise Away("The mail server offers no way to sign in that we know.") from None
        except OSError as error:
            raise Away(f"The mail server {self.place} cannot be reached: {error}") from None

    def _connected(self) -> smtplib.SMTP:
        mail = self.settings
        encryption = ssl.create_default_context(cafile=str(mail.ca_file) if mail.ca_file else None)
        if mail.security == "tls":
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(mail.host, mail.port, timeout=mail.timeout_s, context=encryption)
        else:
            smtp = smtplib.SMTP(mail.host, mail.port, timeout=mail.timeout_s)
        try:
            if mail.security == "starttls":
                smtp.starttls(context=encryption)
            smtp.ehlo_or_helo_if_needed()
            if mail.password is not None:
                smtp.login(mail.username, mail.password.get_secret_value())
        except BaseException:
            smtp.close()
            raise
        return smtp


class SmtpSession:
    """A conversation with a mail server."""

    def __init__(self, smtp: smtplib.SMTP, sender: str) -> None:
        self._smtp = smtp
        self._sender = sender

    @property
    def is_open(self) -> bool:
        """Say whether another message can be handed over."""
        return self._smtp.sock is not None

    def send(self, message: EmailMessage, address: str) -> None:
        """Hand a message over for good. Raises NotTaken."""
        try:
            self._smtp.sendmail(self._sender, [address], message.as_bytes())
        except smtplib.SMTPRecipientsRefused as error:
            raise _not_taken(*error.recipients[address]) from None
        except smtplib.SMTPSenderRefused as error:
            raise _not_taken(error.smtp_code, error.smtp_error, "The mail server refuses our sender") from None
        except smtplib.SMTPResponseException as error:
            raise _not_taken(error.smtp_code, error.smtp_error) from None
        except (smtplib.SMTPException, OSError):
            self._smtp.close()
            raise NotTaken(_LOST, is_final=False) from None

    def hang_up(self) -> None:
        """End what is under way at once, from another thread."""
        with suppress(OSError, AttributeError):  # it ended by itself meanwhile
            self._smtp.sock.shutdown(socket.SHUT_RDWR)  # pyright: ignore[reportOptionalMemberAccess] - as above

    def close(self) -> None:
        """End the conversation."""
        with suppress(smtplib.SMTPException, OSError):
            self._smtp.quit()
        self._smtp.close()


@dataclass(frozen=True, slots=True)
class Folder:
    """A Maildir on this machine, which mail programs can open."""

    path: Path

    @property
    def place(self) -> str:
        """Return its address for people."""
        return str(self.path)

    def open(self) -> FolderSession:
        """Make the folder where it is missing. Raises Away."""
        try:
            for part in (self.path, self.path / "tmp", self.path / "new", self.path / "cur"):
                part.mkdir(_PRIVATE, parents=True, exist_ok=True)
            return FolderSession(mailbox.Maildir(self.path, create=False))
        except OSError as error:
            raise Away(f"{self.path} cannot be written: {error.strerror}.") from None


@dataclass(frozen=True, slots=True)
class FolderSession:
    """What writes into a folder."""

    box: mailbox.Maildir
    is_open: bool = True

    def send(self, message: EmailMessage, address: str) -> None:  # noqa: ARG002 - whom it is for, the message says
        """Write a message. Raises NotTaken."""
        try:
            self.box.add(message.as_bytes(policy=message.policy.clone(linesep="\n")))
        except OSError:
            raise NotTaken("The folder for messages cannot be written.", is_final=False) from None

    def hang_up(self) -> None:
        """Do nothing: writing a file ends by itself."""

    def close(self) -> None:
        """Let go of the folder."""
        self.box.close()


def _not_taken(code: int, said: bytes | str, instead: str = "") -> NotTaken:
    """Return a refusal in words of ours: what servers say quotes addresses."""
    usual = "The mail server refuses the message" if code >= 500 else "The mail server asks to try again later"
    reason = instead or _REASONS.get(_enhanced(said).partition(".")[2], usual)
    return NotTaken(f"{reason} ({_code(code, said)}).", is_final=code >= 500)


def _code(code: int, said: bytes | str) -> str:
    return f"{code} {_enhanced(said)}".rstrip()


def _enhanced(said: bytes | str) -> str:
    found = _ENHANCED.match(said if isinstance(said, bytes) else said.encode())
    return found[1].decode() if found else ""
