"""Checks a home, reports faults with advice, and repairs on request: `python -m ktrdr.doctor`.

A check only reads. A repair moves damaged files into `<home>/backup/<instant>/…`, so that nothing is lost.
"""
