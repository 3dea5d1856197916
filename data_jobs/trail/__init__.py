"""The audit trail outside Postgres: copied, anchored, verified, and let go when its time has come."""
