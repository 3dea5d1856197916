"""Settings of language models that write or read for the platform; none is needed, and none is asked by default."""

from __future__ import annotations

from typing import ClassVar, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from configs.section import PREFIX, Section


class LanguageModelSettings(Section):
    """An OpenAI-compatible endpoint, such as vLLM, `ray.serve.llm` or a hosted one; none by default."""

    group: ClassVar[str]

    url: str = ""  # up to and with the version: http://127.0.0.1:8080/v1
    model: str = ""
    api_key: SecretStr | None = None
    timeout_s: float = Field(default=4.0, gt=0, le=30)  # then what needs no model is answered
    at_once: int = Field(default=4, ge=1, le=100)  # of one replica; beyond it too

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if not self.url:
            return self
        name = f"{PREFIX}{self.group}"
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise ValueError(f"{name}__URL must be an http:// or https:// address, as in https://host/v1.")
        if not self.model:
            raise ValueError(f"{name}__MODEL is not set, and {name}__URL is.")
        return self


class SummarySettings(LanguageModelSettings):
    """Who writes customer summaries. It is sent how a customer shops, and never who the customer is."""

    group: ClassVar[str] = "SUMMARY"


class ReadingSettings(LanguageModelSettings):
    """Who reads what the parser could not place in a sentence.

    It is sent the sentence without e-mail addresses, telephone, card, customer and receipt numbers, but with the names
    of people in it: choose an endpoint that may see them.
    """

    group: ClassVar[str] = "READING"

    timeout_s: float = Field(default=1.0, gt=0, le=30)
