"""What keeps the lake small, quick and lawful while it is refined: compaction, vacuum, retention, nightly jobs."""
