-- What each portfolio snapshot held; written with its row in portfolio_snapshots, in its month.
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
) PARTITION BY RANGE (taken_at);
COMMENT ON TABLE portfolio_positions IS 'Positions of portfolio snapshots, one a symbol.';
COMMENT ON COLUMN portfolio_positions.portfolio_id IS 'The portfolio.';
COMMENT ON COLUMN portfolio_positions.taken_at IS 'When it was looked at.';
COMMENT ON COLUMN portfolio_positions.taken_at_ns IS 'taken_at in nanoseconds since 1970 UTC.';
COMMENT ON COLUMN portfolio_positions.symbol IS 'What is held.';
COMMENT ON COLUMN portfolio_positions.quantity IS 'Shares; negative where they are owed.';
COMMENT ON COLUMN portfolio_positions.average_price IS 'What they cost, per share.';
COMMENT ON COLUMN portfolio_positions.market_price IS 'What they were worth then, per share.';
