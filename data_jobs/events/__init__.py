"""What batches did, read from their commits: an event table, and OpenLineage for those who gather lineage elsewhere."""
