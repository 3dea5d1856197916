"""Names for what data sets only number: shops with streets and aliases, customers with names. All of it invented."""
