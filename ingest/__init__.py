"""Receipts come in: the gRPC gateway for tills, validation and the two writes."""
