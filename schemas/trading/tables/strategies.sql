-- The strategies there are; a removed one has no row.
CREATE TABLE strategies (
    strategy_id      text COLLATE "C" NOT NULL PRIMARY KEY,
    algorithm        text        NOT NULL,
    status           text        NOT NULL,
    parameters       jsonb       NOT NULL,
    registered_at    timestamptz NOT NULL,
    registered_at_ns bigint      NOT NULL,
    updated_at       timestamptz NOT NULL,
    updated_at_ns    bigint      NOT NULL,
    CONSTRAINT strategies_status_is_known
        CHECK (status IN ('registered', 'running', 'paused', 'stopped')),
    CONSTRAINT strategies_parameters_have_names CHECK (jsonb_typeof(parameters) = 'object')
);
COMMENT ON TABLE strategies IS 'Trading strategies, their parameters, and whether they run.';
COMMENT ON COLUMN strategies.strategy_id IS 'The strategy.';
COMMENT ON COLUMN strategies.algorithm IS 'The rule that it trades by.';
COMMENT ON COLUMN strategies.status IS 'registered, running, paused or stopped.';
COMMENT ON COLUMN strategies.parameters IS 'By name; each value is text.';
COMMENT ON COLUMN strategies.registered_at IS 'When it became known.';
COMMENT ON COLUMN strategies.registered_at_ns IS 'registered_at in nanoseconds since 1970 UTC.';
COMMENT ON COLUMN strategies.updated_at IS 'Time of the last event of this strategy.';
COMMENT ON COLUMN strategies.updated_at_ns IS 'updated_at in nanoseconds since 1970 UTC.';
