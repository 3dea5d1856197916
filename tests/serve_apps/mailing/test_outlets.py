"""Conversations with mail servers: encrypted to who they are, signed in, or not at all."""

import mailbox
import ssl
from email.message import EmailMessage
from email.policy import SMTP

import pytest

from cluster.certificates import ensure_certificates
from configs.mail import MailSettings
from configs.settings import Settings
from serve_apps.mailing.outlets import Away, Folder, NotTaken, SmtpServer, outlet_of
from tests.fixtures.smtp_server import mail_server


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return ensure_certificates(tmp_path_factory.mktemp("mail"), ["127.0.0.1", "mail.test"], 30)


@pytest.fixture
def tls(certificates):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.certificate, certificates.key)
    return context


def message() -> EmailMessage:
    made = EmailMessage(policy=SMTP)
    made["From"], made["To"], made["Subject"] = "receipts@example.com", "ann@example.com", "Your receipt"
    made.set_content("Milk\n.\n..\nBread\n")
    return made


def server_of(server, **others) -> SmtpServer:
    return SmtpServer(MailSettings(host="127.0.0.1", port=server.port, timeout_s=5, **others))


async def test_a_message_is_sent_encrypted_and_signed_in(tls, certificates):
    login = {"username": "shop", "password": "geheim"}
    with mail_server(tls=tls, password="geheim") as server:
        session = server_of(server, ca_file=certificates.authority, **login).open()
        session.send(message(), "ann@example.com")
        session.send(message(), "bob@example.com")
        session.close()
        first, second = await server.arrived(2)
    assert (first.encrypted, first.login, first.recipients) == (True, "shop", ["ann@example.com"])
    assert second.recipients == ["bob@example.com"]
    assert first.message.get_content().splitlines() == ["Milk", ".", "..", "Bread"]


def test_a_certificate_that_nobody_vouches_for_is_not_believed(tls):
    with mail_server(tls=tls) as server, pytest.raises(Away, match="certificate verify failed"):
        server_of(server).open()
    assert server.asked == []


def test_a_certificate_of_another_host_is_not_believed(tmp_path):
    other = ensure_certificates(tmp_path, ["elsewhere.test"], 30)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(other.certificate, other.key)
    with mail_server(tls=context) as server, pytest.raises(Away, match=r"not valid for '127\.0\.0\.1'"):
        server_of(server, ca_file=other.authority).open()


def test_a_server_that_does_not_encrypt_is_told_nothing():
    with mail_server() as server, pytest.raises(Away, match="STARTTLS"):
        server_of(server, username="shop", password="geheim").open()
    assert server.asked == []


def test_a_wrong_password_is_said_without_what_the_server_says(tls, certificates):
    with (
        mail_server(tls=tls, password="geheim") as server,
        pytest.raises(Away, match=r"^The mail server refuses the login \(535\)\.$"),
    ):
        server_of(server, ca_file=certificates.authority, username="shop", password="wrong").open()


@pytest.mark.parametrize("ca_file", ["/nowhere/ca.pem"])
def test_what_is_missing_here_is_named(ca_file):
    with pytest.raises(Away, match="No such file"):
        SmtpServer(MailSettings(host="127.0.0.1", port=1, ca_file=ca_file)).open()


def test_nobody_at_home_is_said_with_the_address():
    with pytest.raises(Away, match=r"smtp://127\.0\.0\.1:1 cannot be reached: .*refused"):
        SmtpServer(MailSettings(host="127.0.0.1", port=1)).open()


@pytest.mark.parametrize(
    ("said", "is_final", "told"),
    [
        ("550 5.1.1 <ann@example.com>", True, "The mail server knows no such mailbox (550 5.1.1)."),
        ("550-5.1.2 ann\r\n550 5.1.2 nowhere", True, "The mail server knows no such domain (550 5.1.2)."),
        ("452 4.2.2 full", False, "The mailbox is full (452 4.2.2)."),
        ("421 4.3.2 going down", False, "The mail server asks to try again later (421 4.3.2)."),
        ("554 ann@example.com is a spam trap", True, "The mail server refuses the message (554)."),
    ],
)
def test_a_refusal_is_told_in_words_of_ours(said, is_final, told):
    with mail_server() as server:
        server.answers["RCPT"] = [said]
        session = server_of(server, security="none").open()
        with pytest.raises(NotTaken) as caught:
            session.send(message(), "ann@example.com")
        assert (str(caught.value), caught.value.is_final) == (told, is_final)
        assert session.is_open == (not said.startswith("421"))
        session.close()


def test_a_folder_keeps_messages_for_mail_programs(tmp_path):
    session = Folder(tmp_path / "state" / "mail").open()
    session.send(message(), "ann@example.com")
    session.close()
    (kept,) = mailbox.Maildir(tmp_path / "state" / "mail", create=False)
    assert (kept["To"], kept["Subject"]) == ("ann@example.com", "Your receipt")
    (file,) = (tmp_path / "state" / "mail" / "new").iterdir()
    assert b"\r" not in file.read_bytes()


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "mail").write_text("in the way")
    with pytest.raises(Away, match="cannot be written"):
        Folder(tmp_path / "mail").open()


def test_only_the_embedded_platform_has_a_folder(tmp_path):
    embedded = Settings(state_dir=tmp_path)
    assert outlet_of(embedded) == Folder(tmp_path / "mail")
    assert outlet_of(embedded.model_copy(update={"environment": "production"})) is None
    outlet = outlet_of(embedded.model_copy(update={"mail": MailSettings(host="smtp.example.com")}))
    assert outlet is not None
    assert outlet.place == "smtp://smtp.example.com:587"
