"""One module per refined table, named layer_table; data_jobs/catalogue.py lists them all."""
