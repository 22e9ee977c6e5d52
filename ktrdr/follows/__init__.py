"""Follows models forward: predictions are recorded before their outcomes exist, sent, verified and tested."""
