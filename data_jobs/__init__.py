"""Receipts are refined: Bronze to Silver to Gold on Ray Data, embeddings and the sync to Postgres."""
