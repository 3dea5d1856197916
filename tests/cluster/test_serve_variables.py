"""A replica that Serve started without its settings says so and does not serve."""

import pytest
from ray.serve._private import constants

from cluster.errors import PlatformError
from cluster.serve_variables import require_in_effect, serve_variables


def test_the_run_has_them_because_they_were_set_before_serve_was_imported():
    require_in_effect(vars(constants))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("RAY_SERVE_ENABLE_HA_PROXY", False),
        ("RAY_SERVE_THROUGHPUT_OPTIMIZED", False),
        ("RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH", None),
    ],
)
def test_one_that_came_too_late_is_named_with_what_to_do(name, found):
    with pytest.raises(PlatformError, match=rf"without {name}={serve_variables()[name]}: set what configs/serve.yaml"):
        require_in_effect(vars(constants) | {name: found})


def test_haproxy_gets_no_more_connections_than_there_are_files_for():
    assert serve_variables(1, 900)["RAY_SERVE_HAPROXY_MAXCONN"] == "900"
    assert serve_variables(1, 10**9)["RAY_SERVE_HAPROXY_MAXCONN"] == "20000"
