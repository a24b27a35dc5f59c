"""The rivals of MixSD, one a file, reached only through the config."""
