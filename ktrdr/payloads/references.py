"""How operations are named by people and programs."""

from __future__ import annotations

OPERATION_ID = "op_[a-z_]+_[0-9]{8}_[0-9a-z]{6}"
"""The regular expression of a whole id."""

LAST = "last"
"""Stands for the newest operation; where a model is needed, for the newest that has one."""
