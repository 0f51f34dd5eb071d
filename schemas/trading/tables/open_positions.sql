CREATE VIEW open_positions AS
SELECT
    symbol,
    sum(CASE side WHEN 'buy' THEN filled_quantity ELSE -filled_quantity END) AS quantity,
    sum(CASE side WHEN 'buy' THEN filled_value ELSE -filled_value END) AS value,
    count(*) AS trades
FROM trades
WHERE status <> 'closed' AND filled_quantity > 0
GROUP BY symbol;
COMMENT ON VIEW open_positions IS 'What is held of each symbol, from the trades not yet closed.';
COMMENT ON COLUMN open_positions.symbol IS 'What is held.';
COMMENT ON COLUMN open_positions.quantity IS 'Shares; negative where they are owed.';
COMMENT ON COLUMN open_positions.value IS 'What was paid for it, without fees.';
COMMENT ON COLUMN open_positions.trades IS 'How many trades it comes from.';
