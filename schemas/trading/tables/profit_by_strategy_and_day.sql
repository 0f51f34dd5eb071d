CREATE VIEW profit_by_strategy_and_day AS
SELECT
    strategy_id,
    (closed_at AT TIME ZONE 'UTC')::date AS day,
    sum(realised_profit) AS realised_profit,
    sum(fees) AS fees,
    count(*) AS trades
FROM trades
WHERE status = 'closed'
GROUP BY strategy_id, (closed_at AT TIME ZONE 'UTC')::date;
COMMENT ON VIEW profit_by_strategy_and_day IS
    'What each strategy''s closed trades brought, by the day on which they were closed.';
COMMENT ON COLUMN profit_by_strategy_and_day.strategy_id IS 'The strategy.';
COMMENT ON COLUMN profit_by_strategy_and_day.day IS 'Of closed_at, in UTC.';
COMMENT ON COLUMN profit_by_strategy_and_day.realised_profit IS 'Sum, after all fees.';
COMMENT ON COLUMN profit_by_strategy_and_day.fees IS 'Sum of all fees, paid already above.';
COMMENT ON COLUMN profit_by_strategy_and_day.trades IS 'How many were closed.';
