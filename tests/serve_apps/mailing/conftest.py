"""A mail server, and a database with one receipt to send."""

from __future__ import annotations

import pytest

from configs.settings import Settings
from tests.fixtures.retail import make_customer, make_store, store_rows
from tests.fixtures.serving import SignIns
from tests.fixtures.smtp_server import MailServer, mail_server
from tests.serve_apps.mailing.posting import RECEIPT, mailing_by


@pytest.fixture
def server():
    with mail_server() as made:
        yield made


@pytest.fixture
def platform(settings: Settings, sign_ins: SignIns, server: MailServer) -> Settings:
    """Settings that mail by the server, over a database with one receipt."""
    store_rows(settings, stores=[make_store()], customers=[make_customer()], receipts=[RECEIPT])
    return mailing_by(settings, server)
