-- Every run of a strategy over a bar.
CREATE TABLE strategy_executions (
    execution_id     text COLLATE "C" NOT NULL PRIMARY KEY,
    strategy_id      text        NOT NULL,
    symbol           text        NOT NULL,
    bar_opened_at    timestamptz NOT NULL,
    bar_opened_at_ns bigint      NOT NULL,
    status           text        NOT NULL,
    signal           text,
    strength         numeric,
    trade_id         text,
    error            text,
    started_at       timestamptz NOT NULL,
    started_at_ns    bigint      NOT NULL,
    updated_at       timestamptz NOT NULL,
    updated_at_ns    bigint      NOT NULL,
    CONSTRAINT strategy_executions_status_is_known
        CHECK (status IN ('started', 'signalled', 'completed', 'failed')),
    CONSTRAINT strategy_executions_signal_is_known CHECK (signal IN ('buy', 'sell', 'hold')),
    CONSTRAINT strategy_executions_strength_is_a_share CHECK (strength BETWEEN 0 AND 1)
);
CREATE INDEX strategy_executions_by_strategy ON strategy_executions (strategy_id, bar_opened_at);
COMMENT ON TABLE strategy_executions IS 'Runs of strategies over bars, and what came of them.';
COMMENT ON COLUMN strategy_executions.strength IS 'How sure the strategy was, from 0 to 1.';
COMMENT ON COLUMN strategy_executions.trade_id IS 'The trade that the signal opened or closed.';
COMMENT ON COLUMN strategy_executions.error IS 'Why the run failed.';
