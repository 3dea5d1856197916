"""Code generated from ingest/wire.proto, never edited. A test says when it is stale; regenerate it with:

python -m grpc_tools.protoc -I ingest/generated=ingest --python_out=. --pyi_out=. --grpc_python_out=. \
    ingest/generated/wire.proto
"""
