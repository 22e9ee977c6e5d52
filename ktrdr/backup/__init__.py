"""Backs up a home while a server runs on it."""
