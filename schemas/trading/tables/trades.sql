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
        CHECK (filled_quantity >= 0 AND filled_quantity <= quantity)
);
CREATE INDEX trades_by_strategy ON trades (strategy_id);
CREATE INDEX trades_held ON trades (symbol) WHERE status <> 'closed' AND filled_quantity > 0;
COMMENT ON TABLE trades IS 'Orders, their fills, and the profit of those that are closed.';
COMMENT ON COLUMN trades.filled_value IS 'Sum of fill quantity times fill price, exact.';
COMMENT ON COLUMN trades.average_price IS 'filled_value by filled_quantity to eight places.';
COMMENT ON COLUMN trades.realised_profit IS 'After all fees; null until the trade is closed.';
COMMENT ON COLUMN trades.updated_at IS 'Time of the last event of this trade.';
