"""The peer that stores nothing: a gRPC server that acknowledges each message as soon as it has read it.

Started with `python -m cluster.benchmarks.ingest_echo <port>`; ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from ingest.generated import wire_pb2, wire_pb2_grpc


class Echo(wire_pb2_grpc.ZerobusServicer):
    """Parses what a gateway parses, and acknowledges it."""

    async def EphemeralStream(  # noqa: N802 - the name is part of the wire contract
        self, request_iterator: AsyncIterator[wire_pb2.FromTill], context: grpc.aio.ServicerContext[Any, Any]
    ) -> None:
        """Acknowledge every message of a stream."""
        await context.send_initial_metadata(())
        async for message in request_iterator:
            kind = message.WhichOneof("message")
            if kind == "open":
                await context.write(wire_pb2.ToTill(opened=wire_pb2.StreamOpened(stream_id="echo")))
            else:
                body = message.record if kind == "record" else message.batch
                await context.write(wire_pb2.ToTill(ack=wire_pb2.Ack(durable_up_to=body.offset)))


async def serve(port: int) -> None:
    """Serve on loopback until standard input ends."""
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    wire_pb2_grpc.add_ZerobusServicer_to_server(Echo(), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(None)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
