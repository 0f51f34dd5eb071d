CREATE VIEW latest_quotes AS
SELECT DISTINCT ON (symbol) symbol, opened_at, opened_at_ns, close, volume
FROM market_bars
ORDER BY symbol, opened_at DESC;
COMMENT ON VIEW latest_quotes IS 'The newest bar of each symbol.';
