"""Where lineage goes is refused in words when it leads nowhere."""

import pytest

from configs.settings import SettingsError, load_settings


def test_lineage_goes_nowhere_unless_somebody_says_so() -> None:
    assert load_settings({}).lineage.transport == "none"


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"TRANSPORT": "file"}, r"RECEIPTS_LINEAGE__PATH is not set, and the transport is a file\."),
        ({"TRANSPORT": "http"}, r"RECEIPTS_LINEAGE__URL must be an http:// or https:// address for this transport\."),
        ({"TRANSPORT": "kafka"}, r"RECEIPTS_LINEAGE__TRANSPORT is wrong"),
    ],
)
def test_a_transport_without_a_target_is_refused(environ: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        load_settings({f"RECEIPTS_LINEAGE__{key}": value for key, value in environ.items()})


def test_the_key_is_never_shown() -> None:
    environ = {"TRANSPORT": "http", "URL": "https://marquez.example", "API_KEY": "key-1"}
    settings = load_settings({f"RECEIPTS_LINEAGE__{key}": value for key, value in environ.items()})
    assert settings.lineage.api_key is not None
    assert "key-1" not in repr(settings)
