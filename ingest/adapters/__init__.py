"""Files of other systems, read as receipts: ARTS POSLog XML, and CSV or Parquet with a mapping of their columns."""
