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
-- Runs of a strategy over an interval: those that failed, those that led to a trade. No column that
-- a later event changes is in it, so that an update needs no new entry in any index.
CREATE INDEX strategy_executions_by_strategy ON strategy_executions (strategy_id, bar_opened_at);
COMMENT ON TABLE strategy_executions IS 'Runs of strategies over bars, and what came of them.';
COMMENT ON COLUMN strategy_executions.execution_id IS 'The run.';
COMMENT ON COLUMN strategy_executions.strategy_id IS 'The strategy that ran.';
COMMENT ON COLUMN strategy_executions.symbol IS 'Whose bar it looked at.';
COMMENT ON COLUMN strategy_executions.bar_opened_at IS 'When that bar began.';
COMMENT ON COLUMN strategy_executions.bar_opened_at_ns IS
    'bar_opened_at in nanoseconds since 1970 UTC.';
COMMENT ON COLUMN strategy_executions.status IS 'started, signalled, completed or failed.';
COMMENT ON COLUMN strategy_executions.signal IS 'buy, sell or hold; null before the signal.';
COMMENT ON COLUMN strategy_executions.strength IS 'How sure the strategy was, from 0 to 1.';
COMMENT ON COLUMN strategy_executions.trade_id IS 'The trade that the signal opened or closed.';
COMMENT ON COLUMN strategy_executions.error IS 'Why the run failed.';
COMMENT ON COLUMN strategy_executions.started_at IS 'When the run began.';
COMMENT ON COLUMN strategy_executions.started_at_ns IS
    'started_at in nanoseconds since 1970 UTC.';
COMMENT ON COLUMN strategy_executions.updated_at IS 'Time of the last event of this run.';
COMMENT ON COLUMN strategy_executions.updated_at_ns IS
    'updated_at in nanoseconds since 1970 UTC.';
