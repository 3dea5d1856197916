"""How receipts are mailed."""

from __future__ import annotations

import re
from email.utils import parseaddr
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from configs.section import PREFIX, Section

_MAIL = f"{PREFIX}MAIL__"
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def _check_mailbox(value: str) -> str:
    if value and not (value.isprintable() and _ADDRESS.fullmatch(parseaddr(value)[1])):
        raise ValueError("expected an address such as Receipts <receipts@example.com>")
    return value


Mailbox = Annotated[str, AfterValidator(_check_mailbox)]


class MailSettings(Section):
    """The SMTP server that receipts go to and the patience with it. See docs/mail.md."""

    host: str = ""  # empty: the embedded platform keeps messages in state_dir/mail, any other mails nothing
    port: int = Field(default=587, ge=1, le=65_535)
    security: Literal["starttls", "tls", "none"] = "starttls"  # tls from the first byte: port 465
    ca_file: Path | None = None  # PEM of who signed the server's certificate, where no public authority did
    username: str = ""
    password: SecretStr | None = None
    sender: Mailbox = Field(default="Receipts <receipts@example.com>", min_length=3)  # bounces come back to it
    reply_to: Mailbox = ""
    undo_s: float = Field(default=6.0, ge=0, le=300)  # how long a delivery can be taken back
    timeout_s: float = Field(
        default=30.0, gt=0, le=300
    )  # for each step of a conversation; for all of one four times it
    retries: int = Field(default=10, ge=0, le=20)  # after the first try of a message, with growing pauses
    retry_s: float = Field(
        default=30.0, gt=0, le=3_600
    )  # the first of them; each is twice the one before, an hour at most
    interval_s: float = Field(default=5.0, gt=0, le=60)  # how often the mailer looks when nothing wakes it
    kept_days: int = Field(default=400, ge=1)  # how long it is known that a receipt was mailed
    metrics_host: str = "127.0.0.1"  # as that of ingest
    metrics_port: int = Field(default=50_057, ge=1024, le=65_535)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        """Refuse half of a login, and one that anybody on the way could read."""
        if bool(self.username) != (self.password is not None):
            raise ValueError(f"{_MAIL}USERNAME and {_MAIL}PASSWORD are set together or not at all.")
        if self.username and self.security == "none" and self.host not in _LOOPBACK:
            raise ValueError(f"{_MAIL}SECURITY is none: the password would cross the network for all to read.")
        return self
