"""Which portfolio a trade belongs to: nothing in a trade names it, its symbol does."""

_MAIN = "main"


def account_of(symbol: str) -> str:
    """Return the portfolio that trades a symbol: `main` for IBM, `main.2` for IBM.2."""
    copy = symbol.partition(".")[2]
    return f"{_MAIN}.{copy}" if copy else _MAIN
