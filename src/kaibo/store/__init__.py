"""Measurements in, the same measurements out: immutable Parquet parts and a ledger of their hashes."""

from kaibo.store.compaction import Compaction
from kaibo.store.damage import Damage
from kaibo.store.store import Counted, Failure, Paired, Store
from kaibo.store.upkeep import StoredModel

__all__ = ["Compaction", "Counted", "Damage", "Failure", "Paired", "Store", "StoredModel"]
