import re
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from configs import settings as module
from configs.settings import Settings, SettingsError, is_loopback, load_settings

ENVIRONMENTS = sorted(Path(module.__file__).parent.glob("environments/*.yaml"))
PRODUCTION = {
    "RECEIPTS_ENVIRONMENT": "production",
    "RECEIPTS_DATABASE__DSN": "postgresql://owner:geheim@db.example/shop",
    "RECEIPTS_LAKE__ROOT": "s3://bucket/lake",
    "RECEIPTS_AUTH__ISSUER": "https://id.example/tenant",
}


@pytest.fixture
def own_file(tmp_path):
    def write(text):
        path = tmp_path / "own.yaml"
        path.write_text(text)
        return {"RECEIPTS_CONFIG_FILE": str(path)}

    return write


def message(environ):
    with pytest.raises(SettingsError) as caught:
        load_settings(environ)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None, "the cause may show the value"
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_every_environment_loads_once_what_it_needs_is_given(path):
    given = {key: value for key, value in PRODUCTION.items() if path.stem != "embedded"}
    assert load_settings(given | {"RECEIPTS_ENVIRONMENT": path.stem}).environment == path.stem


def test_without_any_variable_everything_runs_on_this_machine():
    settings = load_settings({})
    assert settings.environment == "embedded"
    assert settings.auth.development_provider
    assert is_loopback(settings.serve.host)
    assert is_loopback(settings.ingest.host)
    assert is_loopback(settings.portal.host)


def test_variables_win_over_the_own_file_and_that_over_the_environment(own_file):
    environ = own_file("serve: {port: 22210, max_replicas: 9}\nlog_level: DEBUG\n")
    settings = load_settings(environ | {"RECEIPTS_SERVE__PORT": "22211"})
    assert (settings.serve.port, settings.serve.max_replicas, settings.log_level) == (22211, 9, "DEBUG")


def test_other_programs_variables_are_left_alone():
    assert load_settings({"PATH": "/bin", "RECEIPT_SERVE__PORT": "1"}) == load_settings({})


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"RECEIPTS_SERVE__PROT": "1"}, "RECEIPTS_SERVE__PROT is not a setting; known here: host, max_body_bytes"),
        ({"RECEIPTS_SERVICE__PORT": "1"}, "RECEIPTS_SERVICE is not a setting; known here: audit, auth, database"),
        ({"RECEIPTS_SERVE__PORT": "geheim"}, "RECEIPTS_SERVE__PORT is wrong"),
        ({"RECEIPTS_SERVE__PORT": "80"}, "RECEIPTS_SERVE__PORT is wrong"),
        ({"RECEIPTS_SERVE__PORT__X": "geheim"}, "RECEIPTS_SERVE__PORT is wrong"),
        ({"RECEIPTS_SERVE": "geheim"}, "RECEIPTS_SERVE is wrong"),
        ({"RECEIPTS_LOG_LEVEL": "geheim"}, "RECEIPTS_LOG_LEVEL is wrong: Input should be 'DEBUG'"),
        ({"RECEIPTS_AUTH__ACCESS_TOKEN_S": "7200"}, "RECEIPTS_AUTH__ACCESS_TOKEN_S is wrong"),
        ({"RECEIPTS_DATABASE__ROLE_PASSWORDS": "geheim"}, "RECEIPTS_DATABASE__ROLE_PASSWORDS must be a mapping"),
        ({"RECEIPTS_DATABASE__ROLE_PASSWORDS": "{geheim"}, "RECEIPTS_DATABASE__ROLE_PASSWORDS must be a mapping"),
        ({"RECEIPTS_LOG_LEVEL": "INFO", "RECEIPTS_LOG_LEVEL__X": "geheim"}, "reaches below log_level"),
        (
            {"RECEIPTS_ENVIRONMENT": "prod"},
            "RECEIPTS_ENVIRONMENT=prod is not an environment; known: embedded, production",
        ),
        ({"RECEIPTS_ENVIRONMENT": "../environments/embedded"}, "is not an environment"),
        ({"RECEIPTS_CONFIG_FILE": "/nowhere/own.yaml"}, "/nowhere/own.yaml .RECEIPTS_CONFIG_FILE. cannot be read"),
        ({"RECEIPTS_SERVE__PORT": "1", "RECEIPTS_PORTAL__PORT": "1"}, "1 more wrong"),
        (
            {"RECEIPTS_PORTAL__PROCESSES": "2", "RECEIPTS_PORTAL__PROCESS_PORT": "7856"},
            "RECEIPTS_PORTAL__PROCESS_PORT=7856 is wrong: 2 processes take ports up to 7860, and 7860 is the portal's",
        ),
    ],
)
def test_a_wrong_setting_stops_with_one_sentence_that_names_it(environ, sentence):
    text = message(environ)
    assert re.search(sentence, text)
    assert "geheim" not in text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("serve: {prot: 1}", "RECEIPTS_SERVE__PROT is not a setting"),
        ("database: {dsn: [geheim]}", "RECEIPTS_DATABASE__DSN is wrong"),
        ("database:\n  dsn: 'geheim", "not valid YAML at line"),
        ("- geheim", "must hold a mapping"),
        ("\x00", "not valid YAML"),
    ],
)
def test_a_wrong_settings_file_stops_with_one_sentence_and_shows_no_secret(own_file, text, sentence):
    said = message(own_file(text))
    assert sentence in said
    assert "geheim" not in said


def test_secrets_are_shown_nowhere():
    settings = load_settings(
        {
            "RECEIPTS_DATABASE__DSN": "postgresql://owner:geheim@db/shop",
            "RECEIPTS_DATABASE__ROLE_PASSWORDS__RECEIPTS_API": "[geheim",
            "RECEIPTS_LAKE__STORAGE_OPTIONS": '{"aws_secret_access_key": "geheim"}',
            "RECEIPTS_PORTAL__CLIENT_SECRET": "{geheim}",
        }
    )
    assert "geheim" not in repr(settings) + str(settings) + settings.model_dump_json()
    assert settings.database.role_passwords == {"receipts_api": SecretStr("[geheim")}
    assert settings.lake.storage_options == {"aws_secret_access_key": SecretStr("geheim")}
    assert settings.portal.client_secret == SecretStr("{geheim}")


@pytest.mark.parametrize("missing", sorted(PRODUCTION.keys() - {"RECEIPTS_ENVIRONMENT"}))
def test_production_says_what_it_still_needs(missing):
    assert missing in message({key: value for key, value in PRODUCTION.items() if key != missing})


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:8000/auth", "http://id.example", "https://x.invalid"])
def test_production_accepts_no_issuer_without_tls(issuer):
    assert "RECEIPTS_AUTH__ISSUER must be the https://" in message(PRODUCTION | {"RECEIPTS_AUTH__ISSUER": issuer})


def test_the_development_provider_is_refused_in_production():
    text = message(PRODUCTION | {"RECEIPTS_AUTH__DEVELOPMENT_PROVIDER": "true"})
    assert text.startswith("RECEIPTS_AUTH__DEVELOPMENT_PROVIDER is true in the environment production")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "receipts.example", "127.0.0.1.example.com", ""])
def test_the_development_provider_is_refused_where_others_can_reach_it(host):
    text = message({"RECEIPTS_SERVE__HOST": host})
    assert text.startswith(f"RECEIPTS_AUTH__DEVELOPMENT_PROVIDER is true while serve.host is {host}")
    with pytest.raises(ValidationError, match="DEVELOPMENT_PROVIDER"):
        Settings(serve={"host": host}, auth={"development_provider": True})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_the_development_provider_runs_on_loopback(host):
    assert load_settings({"RECEIPTS_SERVE__HOST": host}).auth.development_provider


def test_addresses_that_name_a_port_follow_it_unless_they_are_set():
    settings = load_settings({"RECEIPTS_SERVE__PORT": "22212", "RECEIPTS_PORTAL__PORT": "22213"})
    assert settings.auth.issuer == "http://127.0.0.1:22212/auth"
    assert (settings.portal.api_url, settings.portal.public_url) == ("http://127.0.0.1:22212", "http://127.0.0.1:22213")
    own = load_settings({"RECEIPTS_SERVE__PORT": "22212", "RECEIPTS_PORTAL__API_URL": "http://127.0.0.1:22214"})
    assert own.portal.api_url == "http://127.0.0.1:22214"


def test_paths_are_absolute_so_that_rays_workers_find_them(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    settings = load_settings({"RECEIPTS_STATE_DIR": "state"})
    assert settings.state_dir == tmp_path / "state"
    assert settings.lake_root == str(tmp_path / "state" / "lake")
    assert load_settings({"RECEIPTS_LAKE__ROOT": "delta"}).lake_root == str(tmp_path / "delta")
    assert load_settings({"RECEIPTS_LAKE__ROOT": "s3://bucket/x"}).lake_root == "s3://bucket/x"


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        load_settings({}).serve.port = 1
