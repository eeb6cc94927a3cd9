"""The version of the portal; the client compares it with its own."""

VERSION = "0.1.0"
