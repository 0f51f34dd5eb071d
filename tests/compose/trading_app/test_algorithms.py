from collections.abc import Sequence
from decimal import Decimal

import pytest

from compose.trading_app.algorithms import ALGORITHMS, HOLD

RISING = [Decimal(price) for price in range(100, 120)]
FALLING = RISING[::-1]
FLAT = [Decimal(100)] * 20


@pytest.mark.parametrize(
    ("algorithm", "parameters", "closes", "signal"),
    [
        ("moving_average", {"fast": "3", "slow": "20"}, RISING, "buy"),
        ("moving_average", {"fast": "3", "slow": "20"}, FALLING, "sell"),
        ("breakout", {"window": "19"}, RISING, "buy"),
        ("breakout", {"window": "19"}, FALLING, "sell"),
        ("breakout", {"window": "19"}, FLAT, "hold"),
        ("mean_reversion", {"window": "20", "threshold": "1"}, RISING, "sell"),
        ("mean_reversion", {"window": "20", "threshold": "1"}, FALLING, "buy"),
        ("mean_reversion", {"window": "20", "threshold": "1"}, FLAT, "hold"),
        ("watch", {}, RISING[:1], "hold"),
    ],
)
def test_an_algorithm_gives_the_signal_of_the_prices(
    algorithm: str, parameters: dict[str, str], closes: Sequence[Decimal], signal: str
) -> None:
    chosen = ALGORITHMS[algorithm](parameters)

    opinion = chosen.decide(closes)

    assert len(closes) == chosen.needs
    assert opinion.signal == signal
    assert 0 <= opinion.strength <= 1
    assert (opinion == HOLD) is (signal == "hold")
