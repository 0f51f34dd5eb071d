-- Every valuation of a portfolio; memory holds the newest of each.
CREATE TABLE portfolio_snapshots (
    portfolio_id text COLLATE "C" NOT NULL,
    taken_at     timestamptz NOT NULL,
    taken_at_ns  bigint      NOT NULL,
    cash         numeric     NOT NULL,
    equity       numeric     NOT NULL,
    PRIMARY KEY (portfolio_id, taken_at)
);
COMMENT ON TABLE portfolio_snapshots IS 'What portfolios were worth, moment by moment.';
COMMENT ON COLUMN portfolio_snapshots.equity IS 'Cash and all positions at their market prices.';
