-- What each portfolio snapshot held; written with its row in portfolio_snapshots.
CREATE TABLE portfolio_positions (
    portfolio_id  text COLLATE "C" NOT NULL,
    taken_at      timestamptz NOT NULL,
    taken_at_ns   bigint      NOT NULL,
    symbol        text COLLATE "C" NOT NULL,
    quantity      numeric     NOT NULL,
    average_price numeric     NOT NULL,
    market_price  numeric     NOT NULL,
    PRIMARY KEY (portfolio_id, taken_at, symbol),
    CONSTRAINT portfolio_positions_are_valued CHECK (average_price >= 0 AND market_price > 0)
);
COMMENT ON TABLE portfolio_positions IS 'Positions of portfolio snapshots, one a symbol.';
COMMENT ON COLUMN portfolio_positions.quantity IS 'Negative where the symbol is owed.';
