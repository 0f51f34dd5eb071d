-- Every order and what became of it.
CREATE TABLE trades (
    trade_id        text COLLATE "C" NOT NULL PRIMARY KEY,
    strategy_id     text        NOT NULL,
    symbol          text        NOT NULL,
    side            text        NOT NULL,
    status          text        NOT NULL,
    quantity        numeric     NOT NULL,
    limit_price     numeric     NOT NULL,
    filled_quantity numeric     NOT NULL,
    filled_value    numeric     NOT NULL,
    average_price   numeric,
    fees            numeric     NOT NULL,
    exit_price      numeric,
    realised_profit numeric,
    opened_at       timestamptz NOT NULL,
    opened_at_ns    bigint      NOT NULL,
    updated_at      timestamptz NOT NULL,
    updated_at_ns   bigint      NOT NULL,
    closed_at       timestamptz,
    closed_at_ns    bigint,
    CONSTRAINT trades_side_is_known CHECK (side IN ('buy', 'sell')),
    CONSTRAINT trades_status_is_known
        CHECK (status IN ('open', 'partially_filled', 'executed', 'cancelled', 'closed')),
    CONSTRAINT trades_limit_is_a_price CHECK (limit_price > 0),
    CONSTRAINT trades_filled_is_within_quantity
        CHECK (filled_quantity >= 0 AND filled_quantity <= quantity),
    CONSTRAINT trades_are_settled_once_closed
        CHECK (num_nonnulls(exit_price, realised_profit, closed_at, closed_at_ns)
            = CASE status WHEN 'closed' THEN 4 ELSE 0 END)
);
-- Orders that wait to be filled, and the view of open positions: few of all rows.
CREATE INDEX trades_alive ON trades (symbol)
    WHERE status IN ('open', 'partially_filled') OR (status <> 'closed' AND filled_quantity > 0);
-- What was closed on a day, and the view of profit by strategy and day.
CREATE INDEX trades_by_closing_day ON trades (((closed_at AT TIME ZONE 'UTC')::date), strategy_id)
    WHERE status = 'closed';
COMMENT ON TABLE trades IS 'Orders, their fills, and the profit of those that are closed.';
COMMENT ON COLUMN trades.trade_id IS 'The order.';
COMMENT ON COLUMN trades.strategy_id IS 'The strategy that gave it.';
COMMENT ON COLUMN trades.symbol IS 'What is bought or sold.';
COMMENT ON COLUMN trades.side IS 'buy or sell.';
COMMENT ON COLUMN trades.status IS 'open, partially_filled, executed, cancelled or closed.';
COMMENT ON COLUMN trades.quantity IS 'Shares ordered.';
COMMENT ON COLUMN trades.limit_price IS 'Worst price that was allowed, per share.';
COMMENT ON COLUMN trades.filled_quantity IS 'Shares bought or sold so far.';
COMMENT ON COLUMN trades.filled_value IS 'Sum of fill quantity times fill price, exact.';
COMMENT ON COLUMN trades.average_price IS
    'filled_value by filled_quantity to eight places; null before a fill.';
COMMENT ON COLUMN trades.fees IS 'Of all fills, and of the exit once it is closed.';
COMMENT ON COLUMN trades.exit_price IS
    'Price at which all that was filled left again, per share; null until the trade is closed.';
COMMENT ON COLUMN trades.realised_profit IS 'After all fees; null until the trade is closed.';
COMMENT ON COLUMN trades.opened_at IS 'When the order went to the market.';
COMMENT ON COLUMN trades.opened_at_ns IS 'opened_at in nanoseconds since 1970 UTC.';
COMMENT ON COLUMN trades.updated_at IS 'Time of the last event of this trade.';
COMMENT ON COLUMN trades.updated_at_ns IS 'updated_at in nanoseconds since 1970 UTC.';
COMMENT ON COLUMN trades.closed_at IS 'When it was closed; null until then.';
COMMENT ON COLUMN trades.closed_at_ns IS 'closed_at in nanoseconds since 1970 UTC.';
