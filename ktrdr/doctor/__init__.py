"""Checks a home, says what is wrong and what to do, and repairs when asked: `python -m ktrdr.doctor`.

A check reads. A repair moves what is damaged into `<home>/backup/<instant>/…`, so that nothing is ever lost by it.
"""
