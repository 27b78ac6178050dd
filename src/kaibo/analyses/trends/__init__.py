"""What each token's perplexity does along training, from nats to findings; neither models nor the store are known here.

- `scored`: a run as a matrix of nats, checkpoints × tokens
- `classes`: upward, downward, stagnated, undecided
- `sets`, `descent`: sets followed in other runs, containment, double descent, each with its null
- `alike`: checkpoints of one perplexity and different size
- `passages`: single tokens in their sentence
- `whole`: all of it, as findings
"""

from kaibo.analyses.curves import exponential_average
from kaibo.analyses.trends.classes import CLASSES, TokenTrends, TrendRow, token_trends
from kaibo.analyses.trends.scored import AGAINST, ScoredSeries, Tokens, joined
from kaibo.analyses.trends.whole import STARTS, TrendOptions, Trends, trends
from kaibo.uncertainty.autoregression import Regressions, regress

__all__ = [
    "AGAINST",
    "CLASSES",
    "STARTS",
    "Regressions",
    "ScoredSeries",
    "TokenTrends",
    "Tokens",
    "TrendOptions",
    "TrendRow",
    "Trends",
    "exponential_average",
    "joined",
    "regress",
    "token_trends",
    "trends",
]
