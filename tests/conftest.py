"""Where the fixtures come from: one module for each thing they provide."""

pytest_plugins = ["tests.fixtures.database"]
