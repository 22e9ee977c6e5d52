"""The sections of a strategy, one module a section."""
