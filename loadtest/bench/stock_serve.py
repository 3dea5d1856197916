"""Another peer: the naked handler on Ray Serve as it comes, on a Ray node of its own."""

from __future__ import annotations

import sys
import tempfile

import ray
from fastapi import FastAPI
from ray import serve

from loadtest.bench.naked_lookup import build_app


def main() -> None:
    """Serve on the port of the command line until standard input, whose first line is the conninfo, ends."""
    port, conninfo = int(sys.argv[1]), sys.stdin.readline().strip()

    @serve.deployment(max_ongoing_requests=256)
    @serve.ingress()
    class Naked:
        def __serve_build_asgi_app__(self) -> FastAPI:  # the name is Serve's
            return build_app(conninfo)

    with tempfile.TemporaryDirectory(prefix="rs-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        ray.init(
            address="local", num_cpus=2, include_dashboard=False, _temp_dir=folder, log_to_driver=False,
            object_store_memory=100 * 1024 * 1024,
        )  # fmt: skip
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        serve.run(Naked.bind(), route_prefix="/")
        sys.stdin.read()
        serve.shutdown()
        ray.shutdown()


if __name__ == "__main__":
    main()
