"""Settings of sign-in: what is half a configuration is refused in a sentence."""

import pytest

from cluster.deploy import replica_environment
from configs.settings import SettingsError, load_settings

UPSTREAM = "RECEIPTS_AUTH__UPSTREAM__"
COMPANY = {
    "RECEIPTS_AUTH__DEVELOPMENT_PROVIDER": "false",
    f"{UPSTREAM}ISSUER": "https://id.example.com",
    f"{UPSTREAM}CLIENT_ID": "receipts",
}
ENTRA = "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0"


def message(environment: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as refused:
        load_settings(environment)
    return str(refused.value)


def test_groups_are_read_from_a_variable_and_travel_to_replicas_without_the_secret():
    groups = '{"receipts-fraud": "fraud_team:all", "receipts-east": "cs_rep:1,2"}'
    settings = load_settings(COMPANY | {f"{UPSTREAM}GROUPS": groups, f"{UPSTREAM}CLIENT_SECRET": "very secret"})
    assert list(settings.auth.upstream.groups) == ["receipts-fraud", "receipts-east"]
    travelling = replica_environment(settings)
    assert "very secret" not in str(travelling)
    assert load_settings(travelling).auth.upstream.groups == settings.auth.upstream.groups


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"RECEIPTS_AUTH__DEVELOPMENT_PROVIDER": "true"}, "exclude each other"),
        ({f"{UPSTREAM}CLIENT_ID": ""}, f"{UPSTREAM}CLIENT_ID is not set"),
        ({f"{UPSTREAM}ISSUER": ENTRA}, f"{UPSTREAM}TENANT must be the directory's id"),
        ({f"{UPSTREAM}ISSUER": ENTRA, f"{UPSTREAM}TENANT": "another"}, f"{UPSTREAM}TENANT must be"),
        (
            {f"{UPSTREAM}ISSUER": "https://login.microsoftonline.com/common/v2.0", f"{UPSTREAM}TENANT": ""},
            f"{UPSTREAM}TENANT must be",
        ),
        ({f"{UPSTREAM}ALGORITHM": "HS256"}, f"{UPSTREAM}ALGORITHM is wrong"),
        ({f"{UPSTREAM}ALGORITHM": "none"}, f"{UPSTREAM}ALGORITHM is wrong"),
        ({f"{UPSTREAM}GROUPS": '{"a": "root:all"}'}, "such as cs_rep:1,2"),
        ({f"{UPSTREAM}GROUPS": '{"a": "cs_rep"}'}, "such as cs_rep:1,2"),
        ({f"{UPSTREAM}GROUPS": '{"a": "till:all"}'}, "such as cs_rep:1,2"),
        ({"RECEIPTS_AUTH__SIGNING_KEY": "x", "RECEIPTS_AUTH__SIGNING_KEY_FILE": "/x"}, "exclude each other"),
    ],
)
def test_what_is_half_a_configuration_is_refused_in_a_sentence(changes, words):
    assert words in message(COMPANY | changes)


def test_production_takes_no_provider_without_tls():
    production = COMPANY | {
        "RECEIPTS_ENVIRONMENT": "production",
        "RECEIPTS_DATABASE__DSN": "postgresql://db.example/receipts",
        "RECEIPTS_LAKE__ROOT": "s3://bucket/lake",
        "RECEIPTS_AUTH__ISSUER": "https://receipts.example.com/auth",
    }
    assert load_settings(production).auth.upstream.client_id == "receipts"
    assert f"{UPSTREAM}ISSUER must be the https://" in message(
        production | {f"{UPSTREAM}ISSUER": "http://id.example.com"}
    )
