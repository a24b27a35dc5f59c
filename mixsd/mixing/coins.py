"""Which conditional supplies token t: a pure function of (seed, fact, attempt, t) (paper section 3).

The coin and the number that samples a token come from separate streams: with one stream, the tokens
that the naive conditional supplies would always be sampled from the low end of its distribution.
"""

from mixsd.core.draws import uniform


def coin_is_naive(mixing_rate: float, seed: int, fact_id: str, attempt: int, position: int) -> bool:
    """True where the naive conditional supplies the token; P(True) = `mixing_rate` (the paper's lambda)."""
    return uniform("coin", seed, fact_id, attempt, position) < mixing_rate


def token_draw(seed: int, fact_id: str, attempt: int, position: int) -> float:
    """The number in [0, 1) that picks a token from the chosen conditional by inverse CDF (T > 0)."""
    return uniform("token", seed, fact_id, attempt, position)
