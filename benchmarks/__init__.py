"""Tasks and retention suites, one a file, reached only through the config."""
