"""Tills that use the stock Databricks Zerobus Ingest SDK need two other URLs and a CA file, nothing else."""

import httpx
import psycopg
import pytest

from cluster.certificates import ensure_certificates
from cluster.tills import add_till, revoke_till
from configs.settings import Settings
from ingest.drainer import drain
from receipts.lake import lake_of
from tests.fixtures.retail import make_receipt, make_store, store_rows

_RECEIPTS = 20_000  # each way


def receipts(register: int, count: int = _RECEIPTS, **fields: object) -> list[str]:
    """Return receipts of one register, numbered from 1."""
    numbers = range(1, count + 1)
    return [make_receipt(register_id=register, sequence_number=number, **fields).canonical() for number in numbers]


@pytest.fixture
def strict(settings: Settings) -> Settings:
    """Settings of a gateway that knows store 367 and takes records only with a token."""
    store_rows(settings, stores=[make_store()])
    return settings.model_copy(update={"ingest": settings.ingest.model_copy(update={"require_token": True})})


@pytest.fixture
def secure(strict: Settings) -> tuple[Settings, dict[str, str]]:
    """The same over TLS, and the environment of a till that trusts it."""
    made = ensure_certificates(strict.state_dir / "certificates", ["localhost", "127.0.0.1"], 30)
    ingest = strict.ingest.model_copy(update={"tls_certificate": made.certificate, "tls_key": made.key})
    return strict.model_copy(update={"ingest": ingest}), {"SSL_CERT_FILE": str(made.authority)}


def access_token(settings: Settings, client_id: str, secret: str) -> str:
    """Return a token as a till gets one that does not leave it to the SDK."""
    answer = httpx.post(
        f"http://127.0.0.1:{settings.ingest.token_port}/oidc/v1/token",
        auth=(client_id, secret),
        data={"grant_type": "client_credentials", "scope": "all-apis"},
        trust_env=False,
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["access_token"]


def everywhere_once(settings: Settings, owner: psycopg.Connection) -> None:
    """Check that Postgres and Bronze hold each of the test's receipts exactly once."""
    drain(settings)
    (readable,) = owner.execute("SELECT count(*) FROM retail.receipts").fetchone()
    keys = lake_of(settings).open("bronze.receipts").to_pyarrow_table(columns=["record_key"]).column(0).to_pylist()
    assert readable == len(keys) == len(set(keys)) == _RECEIPTS


def test_receipts_over_plaintext_with_a_headers_provider_are_readable_at_their_ack(
    strict: Settings, sdk_till, gateway_process, lookup_url: str, sign_ins, owner
):
    secret = add_till(strict, "till-367", [367], all_stores=False)
    gateway_process(strict)
    told = sdk_till(
        receipts(register=1),
        host=f"http://127.0.0.1:{strict.ingest.port}",
        tokens=f"http://127.0.0.1:{strict.ingest.token_port}",
        bearer=access_token(strict, "till-367", secret),
        every=250,
        lookup=lookup_url,
        lookup_token=sign_ins.token("rep.all"),
    )
    assert told == {"sent": _RECEIPTS, "readable": _RECEIPTS // 250, "unreadable": 0}
    everywhere_once(strict, owner)


def test_receipts_over_tls_with_the_sdks_own_oauth_are_readable_at_their_ack(
    secure, sdk_till, gateway_process, lookup_url: str, sign_ins, owner
):
    settings, trust = secure
    secret = add_till(settings, "till-367", [367], all_stores=False)
    gateway_process(settings)
    told = sdk_till(
        receipts(register=2),
        trust,
        host=f"https://localhost:{settings.ingest.port}",
        tokens=f"https://localhost:{settings.ingest.token_port}",
        client_id="till-367",
        client_secret=secret,
        batch=50,
        every=250,
        lookup=lookup_url,
        lookup_token=sign_ins.token("rep.all"),
    )
    assert told == {"sent": _RECEIPTS, "readable": _RECEIPTS // 250, "unreadable": 0}
    everywhere_once(settings, owner)


def test_the_sdk_gives_up_at_once_on_a_wrong_secret_and_on_a_revoked_till(
    secure, sdk_till, gateway_process, owner: psycopg.Connection
):
    settings, trust = secure
    secret = add_till(settings, "till-gone", [367], all_stores=False)
    revoke_till(settings, "till-gone")
    gateway_process(settings)
    urls = {
        "host": f"https://localhost:{settings.ingest.port}",
        "tokens": f"https://localhost:{settings.ingest.token_port}",
    }
    for given in (secret, "wrong"):
        told = sdk_till(receipts(3, 1), trust, **urls, client_id="till-gone", client_secret=given)
        assert told["sent"] == 0
        assert "refused" in told, told
    assert owner.execute("SELECT count(*) FROM retail.receipts").fetchone() == (0,)


def test_records_of_another_store_are_kept_aside_and_the_stream_goes_on(
    secure, sdk_till, gateway_process, owner: psycopg.Connection
):
    settings, trust = secure
    secret = add_till(settings, "till-367", [367], all_stores=False)
    gateway_process(settings)
    told = sdk_till(
        [*receipts(4, 5), *receipts(4, 5, store_id=400), *receipts(5, 5)],
        trust,
        host=f"https://localhost:{settings.ingest.port}",
        tokens=f"https://localhost:{settings.ingest.token_port}",
        client_id="till-367",
        client_secret=secret,
    )
    assert told == {"sent": 15, "readable": 0, "unreadable": 0}
    assert owner.execute("SELECT DISTINCT store_id, count(*) FROM retail.receipts GROUP BY 1").fetchall() == [(367, 10)]
    assert owner.execute("SELECT kind, count(*) FROM ingest.quarantine GROUP BY 1").fetchall() == [("foreign_store", 5)]
