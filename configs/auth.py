"""Who is believed: our own OpenID provider, the company's identity provider behind it, and how long sessions last."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from configs.section import PREFIX, Section

_UPSTREAM = f"{PREFIX}AUTH__UPSTREAM__"
_GRANT = re.compile(r"(cs_rep|supervisor|fraud_team|privacy_officer|admin):(all|[0-9]{1,4}(?:,[0-9]{1,4})*)")
_ENTRA = "https://login.microsoftonline.com/"


class UpstreamSettings(Section):
    """The company's identity provider, where people prove who they are. Without an `issuer` there is none."""

    issuer: str = ""  # as its discovery document calls itself; of Entra ID the tenant's own, never `common`
    client_id: str = ""
    client_secret: SecretStr | None = None
    algorithm: Literal["RS256", "PS256", "ES256"] = "RS256"  # the one its ID tokens are signed by
    scope: str = "openid profile"
    tenant: str = ""  # of Entra ID: the directory's id, which every ID token must name as `tid`
    subject_claim: Literal["sub", "oid"] = "sub"  # of Entra ID `oid`: `sub` differs from application to application
    groups_claim: str = "groups"  # of Entra ID `roles`: the application's own roles
    groups: dict[str, str] = Field(default_factory=dict)  # name -> "role:region,region" or "role:all", best role first

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        """Refuse a half-described provider and roles or regions that do not exist."""
        if self.issuer and not self.client_id:
            raise ValueError(f"{_UPSTREAM}CLIENT_ID is not set, but {_UPSTREAM}ISSUER is.")
        if self.issuer.startswith(_ENTRA) and (not self.tenant or f"/{self.tenant}/" not in self.issuer):
            raise ValueError(
                f"{_UPSTREAM}TENANT must be the directory's id that {_UPSTREAM}ISSUER names: Entra ID signs the tokens "
                "of all tenants with the same keys."
            )
        for name, worth in self.groups.items():
            if not _GRANT.fullmatch(worth):
                raise ValueError(
                    f"{_UPSTREAM}GROUPS: what {name!r} is worth must read role:regions, such as cs_rep:1,2 or "
                    "fraud_team:all."
                )
        return self


class AuthSettings(Section):
    """Our own OpenID provider at /auth, whose tokens alone the API accepts."""

    issuer: str = "http://127.0.0.1:8000/auth"  # where people and clients reach it
    audience: str = "receipts-api"
    keys_url: str = ""  # where replicas without the signing key fetch the key set; empty: where `issuer` says
    signing_key: SecretStr | None = None  # PEM, EC P-256; of several the first signs and all are published
    signing_key_file: Path | None = None  # the same in a file; the embedded platform's is in state_dir/keys
    access_token_s: int = Field(default=3_600, ge=1, le=3_600)
    session_s: int = Field(default=36_000, ge=60, le=86_400)  # from sign-in; no refresh goes beyond it
    idle_s: int = Field(default=7_200, ge=60, le=86_400)  # a refresh token not used for so long is worth nothing
    refresh_grace_s: int = Field(default=10, ge=0, le=60)  # how long a refresh may be repeated whose answer was lost
    revocation_poll_s: float = Field(default=2.0, ge=0.1, le=30)  # how often replicas ask which sessions ended
    revocation_stale_s: float = Field(default=60.0, ge=1, le=600)  # without an answer for so long nobody is believed
    development_provider: bool = False  # signs anyone in as anyone: loopback only
    upstream: UpstreamSettings = UpstreamSettings()

    @model_validator(mode="after")
    def _has_one_way_in(self) -> Self:
        """Refuse settings that contradict each other."""
        if self.development_provider and self.upstream.issuer:
            raise ValueError(f"{PREFIX}AUTH__DEVELOPMENT_PROVIDER and {_UPSTREAM}ISSUER exclude each other.")
        if self.signing_key is not None and self.signing_key_file is not None:
            raise ValueError(f"{PREFIX}AUTH__SIGNING_KEY and {PREFIX}AUTH__SIGNING_KEY_FILE exclude each other.")
        return self
