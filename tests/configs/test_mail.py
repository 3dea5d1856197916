import pytest
from pydantic import ValidationError

from configs.mail import MailSettings
from configs.section import Section
from configs.settings import Settings, SettingsError, load_settings


def test_by_default_the_connection_is_encrypted_and_nobody_is_mailed_to():
    mail = MailSettings()
    assert (mail.host, mail.security, mail.port, mail.undo_s) == ("", "starttls", 587, 6.0)


@pytest.mark.parametrize("given", [{"username": "shop"}, {"password": "geheim"}])
def test_a_login_is_whole_or_not_there(given):
    with pytest.raises(ValidationError, match="are set together or not at all"):
        MailSettings.model_validate(given)


def test_a_password_does_not_cross_a_network_in_clear():
    login = {"username": "shop", "password": "geheim", "security": "none"}
    with pytest.raises(ValidationError, match="for all to read") as caught:
        MailSettings.model_validate(login | {"host": "smtp.example.com"})
    assert "geheim" not in str(caught.value)
    assert MailSettings.model_validate(login | {"host": "127.0.0.1"}).username == "shop"


@pytest.mark.parametrize(
    "sender", ["", "Receipts", "a@b@c", "Receipts <a b@example.com>", "x@example.com\r\nBcc: y@z.org"]
)
def test_a_sender_is_an_address(sender):
    with pytest.raises(SettingsError, match="RECEIPTS_MAIL__SENDER"):
        load_settings({"RECEIPTS_MAIL__SENDER": sender})


@pytest.mark.parametrize("sender", ["shop@example.com", "Żabka <shop@example.com>", '"Shop, Inc." <shop@example.com>'])
def test_a_sender_may_have_a_name(sender):
    assert load_settings({"RECEIPTS_MAIL__SENDER": sender}).mail.sender == sender


def test_no_two_parts_of_a_platform_want_one_port():
    sections = [value for _, value in Settings() if isinstance(value, Section)]
    ports = [
        number
        for section in sections
        for name, number in section
        if name.endswith("port") and number != MailSettings().port  # the mail server's is elsewhere
    ]
    assert len(ports) >= 11
    assert len(set(ports)) == len(ports)
