"""Where traces go is checked at the door."""

import pytest

from configs.settings import SettingsError, load_settings

ENDPOINT = "RECEIPTS_TELEMETRY__ENDPOINT"
HEADERS = {"RECEIPTS_TELEMETRY__HEADERS": '{"x-honeycomb-team": "geheim"}'}


def test_tracing_is_off_until_there_is_an_endpoint():
    assert load_settings({}).telemetry.endpoint == ""
    assert load_settings({ENDPOINT: "http://tempo:4318/"}).telemetry.endpoint == "http://tempo:4318"


@pytest.mark.parametrize("wrong", ["tempo:4318", "grpc://tempo:4317", "http://", "https://host/path?key=geheim"])
def test_what_is_no_address_is_refused_without_repeating_it(wrong):
    with pytest.raises(SettingsError, match="OTLP/HTTP") as refused:
        load_settings({ENDPOINT: wrong})
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize("told", [{"RECEIPTS_TELEMETRY__SHARE": "1.5"}, {"RECEIPTS_TELEMETRY__TRUSTED_CLIENTS": "a b"}])
def test_shares_and_clients_are_checked(told):
    with pytest.raises(SettingsError, match="RECEIPTS_TELEMETRY__"):
        load_settings(told)


def test_a_key_leaves_the_machine_under_tls_only():
    for safe in ("https://api.honeycomb.io", "http://127.0.0.1:4318", "http://localhost:4318", "http://[::1]:4318"):
        assert load_settings({ENDPOINT: safe, **HEADERS}).telemetry.headers
    for open_ in ("http://tempo:4318", "http://tempo", "http://127.0.0.1.example.com:4318"):
        with pytest.raises(SettingsError, match="in the clear") as refused:
            load_settings({ENDPOINT: open_, **HEADERS})
        assert "geheim" not in str(refused.value)
