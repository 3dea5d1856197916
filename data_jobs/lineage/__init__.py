"""Which columns come from which: found out by trying the declarations on a sample, never written down by hand."""
