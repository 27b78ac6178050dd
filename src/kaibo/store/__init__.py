"""Measurements in, the same measurements out: immutable Parquet parts and a ledger of their hashes."""

from kaibo.store.damage import Damage
from kaibo.store.store import Counted, Failure, Store

__all__ = ["Counted", "Damage", "Failure", "Store"]
