"""The command ``mme``."""
