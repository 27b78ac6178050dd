"""Two models come in; which tensor of the one meets which of the other, laid out alike, goes out."""

from kaibo.models.pairing.aligning import Index, Vocabularies, Vocabulary, common_rows
from kaibo.models.pairing.pairs import Coverage, Mapped, Pair, Pairing, Unmatched, pair_models

__all__ = [
    "Coverage",
    "Index",
    "Mapped",
    "Pair",
    "Pairing",
    "Unmatched",
    "Vocabularies",
    "Vocabulary",
    "common_rows",
    "pair_models",
]
