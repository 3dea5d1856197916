"""Receipts are found: Ray Serve deployments over Postgres."""
