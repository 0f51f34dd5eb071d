-- Every valuation of a portfolio; memory holds the newest of each. One partition a month.
CREATE TABLE portfolio_snapshots (
    portfolio_id text COLLATE "C" NOT NULL,
    taken_at     timestamptz NOT NULL,
    taken_at_ns  bigint      NOT NULL,
    cash         numeric     NOT NULL,
    equity       numeric     NOT NULL,
    PRIMARY KEY (portfolio_id, taken_at)
) PARTITION BY RANGE (taken_at);
COMMENT ON TABLE portfolio_snapshots IS 'What portfolios were worth, moment by moment.';
COMMENT ON COLUMN portfolio_snapshots.portfolio_id IS 'The portfolio.';
COMMENT ON COLUMN portfolio_snapshots.taken_at IS 'When it was looked at.';
COMMENT ON COLUMN portfolio_snapshots.taken_at_ns IS 'taken_at in nanoseconds since 1970 UTC.';
COMMENT ON COLUMN portfolio_snapshots.cash IS 'Money that is not in positions.';
COMMENT ON COLUMN portfolio_snapshots.equity IS 'Cash and all positions at their market prices.';
