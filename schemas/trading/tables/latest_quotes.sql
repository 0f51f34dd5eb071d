-- The symbols come from the key's index alone; each one's newest bar is one step in the index of the
-- newest month that has any.
CREATE VIEW latest_quotes AS
SELECT known.symbol, newest.opened_at, newest.opened_at_ns, newest.close, newest.volume
FROM (SELECT DISTINCT symbol FROM market_bars) AS known
CROSS JOIN LATERAL (
    SELECT opened_at, opened_at_ns, close, volume
    FROM market_bars
    WHERE symbol = known.symbol
    ORDER BY opened_at DESC
    LIMIT 1
) AS newest;
COMMENT ON VIEW latest_quotes IS 'The newest bar of each symbol.';
COMMENT ON COLUMN latest_quotes.symbol IS 'What is traded.';
COMMENT ON COLUMN latest_quotes.opened_at IS 'When its newest bar began.';
COMMENT ON COLUMN latest_quotes.opened_at_ns IS 'opened_at in nanoseconds since 1970 UTC.';
COMMENT ON COLUMN latest_quotes.close IS 'Last price of that bar, per share.';
COMMENT ON COLUMN latest_quotes.volume IS 'Shares traded in that bar.';
