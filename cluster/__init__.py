"""What the platform runs on: Postgres, its schema, Ray, the processes and the `receipts` command."""
