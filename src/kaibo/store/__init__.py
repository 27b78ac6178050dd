"""Measurements in, the same measurements out: immutable Parquet parts and a ledger of their hashes."""

from kaibo.store.compaction import Compaction
from kaibo.store.damage import Damage
from kaibo.store.store import Counted, CrossedPair, Failure, Paired, SignsOfAll, Store
from kaibo.store.upkeep import StoredModel

__all__ = ["Compaction", "Counted", "CrossedPair", "Damage", "Failure", "Paired", "SignsOfAll", "Store", "StoredModel"]
