-- PostgreSQL decides: what projections have applied, who may apply, what operators did.
-- Everything here but the trail is rebuilt from the log and the control topic.
CREATE SCHEMA IF NOT EXISTS memferry;

CREATE TABLE IF NOT EXISTS memferry.format (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version integer NOT NULL
);
INSERT INTO memferry.format (version) VALUES (1) ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS memferry.projection (
    name text PRIMARY KEY,
    schema_name text NOT NULL,
    topic text NOT NULL,
    generation integer NOT NULL,
    partitions integer NOT NULL CHECK (partitions > 0),
    state text NOT NULL CHECK (state IN ('live', 'rebuilding', 'held')),
    reason text NOT NULL DEFAULT '',
    since timestamptz NOT NULL DEFAULT now(),
    voids jsonb NOT NULL DEFAULT '[]'
);
COMMENT ON COLUMN memferry.projection.state IS
    'live: a projector may apply; rebuilding: a replay is under way; held: stays at its position';

CREATE TABLE IF NOT EXISTS memferry.checkpoint (
    projection text NOT NULL REFERENCES memferry.projection ON DELETE CASCADE,
    partition integer NOT NULL,
    term bigint NOT NULL,
    next_offset bigint NOT NULL CHECK (next_offset >= 0),
    holder text NOT NULL DEFAULT '',
    stopped text NOT NULL DEFAULT '',
    updated_at timestamptz NOT NULL DEFAULT now(),
    tail text NOT NULL DEFAULT '',
    PRIMARY KEY (projection, partition)
) WITH (fillfactor = 50);
COMMENT ON COLUMN memferry.checkpoint.term IS
    'rises at every claim and replay: whoever holds a lower one cannot commit';
COMMENT ON COLUMN memferry.checkpoint.next_offset IS 'Kafka offset, the first one not applied';
COMMENT ON COLUMN memferry.checkpoint.stopped IS 'why this partition goes no further; empty: it runs';

CREATE TABLE IF NOT EXISTS memferry.lane (
    projection text NOT NULL,
    source text NOT NULL,
    generation integer NOT NULL,
    partition integer NOT NULL,
    seq bigint NOT NULL CHECK (seq > 0),
    digest text NOT NULL CHECK (length(digest) = 64),
    epoch bigint NOT NULL,
    PRIMARY KEY (projection, source, generation, partition)
) WITH (fillfactor = 50);
COMMENT ON TABLE memferry.lane IS 'the last applied event of each lane, committed with its rows';

CREATE TABLE IF NOT EXISTS memferry.parked (
    projection text NOT NULL REFERENCES memferry.projection ON DELETE CASCADE,
    partition integer NOT NULL,
    record_offset bigint NOT NULL,
    source text NOT NULL,
    generation integer NOT NULL,
    seq bigint NOT NULL,
    stream text NOT NULL,
    type text NOT NULL,
    event bytea NOT NULL,
    behind boolean NOT NULL,
    reason text NOT NULL,
    place text NOT NULL,
    parked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (projection, partition, record_offset)
);
-- By hash: a stream may be longer than what a tree takes.
CREATE INDEX IF NOT EXISTS parked_stream ON memferry.parked USING hash (stream);
COMMENT ON TABLE memferry.parked IS
    'events that could not be applied, and those of their streams that wait behind them';
COMMENT ON COLUMN memferry.parked.event IS 'the record''s bytes, as in Kafka';
COMMENT ON COLUMN memferry.parked.behind IS
    'nothing is wrong with it but that an earlier event of its stream is parked';
COMMENT ON COLUMN memferry.parked.place IS 'lane, seq, partition and offset, and table and key if any';

CREATE TABLE IF NOT EXISTS memferry.mend (
    topic text NOT NULL,
    generation integer NOT NULL,
    decision bigint NOT NULL,
    source text NOT NULL,
    partition integer NOT NULL,
    at_offset bigint NOT NULL,
    mend jsonb NOT NULL,
    PRIMARY KEY (topic, decision)
);
COMMENT ON TABLE memferry.mend IS
    'decisions that let a stopped lane go on; every replay obeys them';

CREATE TABLE IF NOT EXISTS memferry.void (
    topic text NOT NULL,
    id text NOT NULL,
    source text NOT NULL,
    void jsonb NOT NULL,
    voided_at timestamptz NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL,
    restored_at timestamptz,
    restored_by text NOT NULL DEFAULT '',
    PRIMARY KEY (topic, id, source)
);
COMMENT ON TABLE memferry.void IS
    'ends of streams that do not count, as each source has decided it in the control topic';
COMMENT ON COLUMN memferry.void.restored_at IS 'since when they count again; null: they do not';

CREATE TABLE IF NOT EXISTS memferry.beside (
    name text PRIMARY KEY REFERENCES memferry.projection ON DELETE CASCADE,
    projection text NOT NULL,
    purpose text NOT NULL CHECK (purpose IN ('shadow', 'swapped', 'savepoint')),
    savepoint text NOT NULL DEFAULT '',
    run uuid,
    was text NOT NULL DEFAULT 'live',
    made_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN memferry.beside.was IS 'of swapped ones: their state before';
COMMENT ON TABLE memferry.beside IS
    'further tables of a projection, each with a schema, lanes and a checkpoint of its own';
COMMENT ON COLUMN memferry.beside.purpose IS
    'shadow: being made; swapped: were in use until a swap; savepoint: kept at a savepoint';

CREATE TABLE IF NOT EXISTS memferry.replay (
    id uuid PRIMARY KEY,
    projection text NOT NULL,
    kind text NOT NULL,
    state text NOT NULL CHECK (state IN ('running', 'finished', 'undone')),
    step text NOT NULL,
    plan jsonb NOT NULL,
    detail text NOT NULL DEFAULT '',
    holder text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);
CREATE UNIQUE INDEX IF NOT EXISTS replay_running ON memferry.replay (projection)
    WHERE state = 'running';
COMMENT ON TABLE memferry.replay IS
    'replays, rollbacks, voids and swaps: what was asked for, resolved before anything changed';
COMMENT ON COLUMN memferry.replay.step IS 'how far it is: what the next run finishes or undoes';

CREATE TABLE IF NOT EXISTS memferry.fingerprint (
    projection text NOT NULL REFERENCES memferry.projection ON DELETE CASCADE,
    kind text NOT NULL,
    fingerprint text NOT NULL,
    parts jsonb NOT NULL,
    PRIMARY KEY (projection, kind)
);
COMMENT ON TABLE memferry.fingerprint IS
    'handlers, upcasters and tables that the projection''s rows were made with, kind by kind';

CREATE TABLE IF NOT EXISTS memferry.source (
    topic text NOT NULL,
    name text NOT NULL,
    generation integer NOT NULL,
    partitions integer NOT NULL,
    opened_at timestamptz NOT NULL,
    snapshot_at timestamptz,
    retired_at timestamptz,
    PRIMARY KEY (topic, name)
);

CREATE TABLE IF NOT EXISTS memferry.control_checkpoint (
    topic text PRIMARY KEY,
    next_offset bigint NOT NULL
);
CREATE TABLE IF NOT EXISTS memferry.control_lane (
    topic text NOT NULL,
    source text NOT NULL,
    seq bigint NOT NULL,
    digest text NOT NULL,
    epoch bigint NOT NULL,
    PRIMARY KEY (topic, source)
);
COMMENT ON TABLE memferry.control_lane IS 'how far the control topic was read into these tables';

CREATE TABLE IF NOT EXISTS memferry.decision (
    topic text NOT NULL,
    seq bigint NOT NULL,
    event bytea NOT NULL,
    published boolean NOT NULL DEFAULT false,
    PRIMARY KEY (topic, seq)
);
COMMENT ON TABLE memferry.decision IS
    'control outbox: decisions in commit order, published to the control topic';

CREATE TABLE IF NOT EXISTS memferry.savepoint (
    projection text NOT NULL,
    name text NOT NULL,
    generation integer NOT NULL,
    offsets jsonb NOT NULL,
    taken_at timestamptz NOT NULL,
    taken_by text NOT NULL,
    purpose text NOT NULL DEFAULT '',
    note text NOT NULL DEFAULT '',
    kept boolean NOT NULL DEFAULT false,
    dropped_at timestamptz,
    PRIMARY KEY (projection, name)
);

CREATE TABLE IF NOT EXISTS memferry.trail (
    id bigint PRIMARY KEY,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    before jsonb NOT NULL,
    after jsonb NOT NULL,
    chain text NOT NULL
);
COMMENT ON TABLE memferry.trail IS
    'every operator action; chain is the SHA-256 of the row before it, joined with this one';

CREATE TABLE IF NOT EXISTS memferry.request (
    id uuid PRIMARY KEY,
    projection text NOT NULL,
    source text NOT NULL,
    kind text NOT NULL,
    state text NOT NULL CHECK (state IN ('asked', 'working', 'answered', 'failed')),
    detail text NOT NULL DEFAULT '',
    answer jsonb,
    asked_at timestamptz NOT NULL DEFAULT now(),
    question jsonb
);
COMMENT ON TABLE memferry.request IS
    'what a running app is asked over its control connection; removed once the answer is read';
CREATE TABLE IF NOT EXISTS memferry.memory_row (
    request uuid NOT NULL REFERENCES memferry.request ON DELETE CASCADE,
    partition integer NOT NULL,
    table_name text NOT NULL,
    key text NOT NULL,
    digest bytea NOT NULL,
    row_text jsonb
);
CREATE TABLE IF NOT EXISTS memferry.memory_sum (
    request uuid NOT NULL REFERENCES memferry.request ON DELETE CASCADE,
    partition integer NOT NULL,
    table_name text NOT NULL,
    bucket integer NOT NULL,
    stream text NOT NULL,
    row_count bigint NOT NULL,
    digest bytea NOT NULL CHECK (length(digest) = 16)
);
COMMENT ON TABLE memferry.memory_sum IS
    'a running app''s answer to an audit: what it held in memory when it placed the barrier';
COMMENT ON COLUMN memferry.memory_sum.bucket IS 'of the rows'' keys; -1 for a windowed stream''s rows';
COMMENT ON COLUMN memferry.memory_sum.stream IS 'of a windowed table; empty for others';
COMMENT ON COLUMN memferry.memory_sum.digest IS 'sum of the rows'' digests modulo 2^128, big-endian';
CREATE TABLE IF NOT EXISTS memferry.memory_line (
    request uuid NOT NULL REFERENCES memferry.request ON DELETE CASCADE,
    number bigint NOT NULL,
    kind text NOT NULL,
    type text NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (request, number)
);
COMMENT ON TABLE memferry.memory_line IS
    'a running app''s answer to an extraction: its entities as state-carrying events';
COMMENT ON TABLE memferry.memory_row IS
    'rows of memory that differ in sum, one by one, as they were at the barrier';

CREATE TABLE IF NOT EXISTS memferry.kept_digest (
    projection text NOT NULL,
    table_name text NOT NULL,
    bucket integer NOT NULL,
    row_count bigint NOT NULL,
    high numeric NOT NULL,
    low numeric NOT NULL,
    PRIMARY KEY (projection, table_name, bucket)
) WITH (fillfactor = 50);
COMMENT ON TABLE memferry.kept_digest IS
    'how the rows of a projection changed, as its triggers count during a migration';
COMMENT ON COLUMN memferry.kept_digest.bucket IS
    'of the rows'' keys; -1: the table was truncated, so what its rows were is not known';
COMMENT ON COLUMN memferry.kept_digest.high IS 'sum of the upper halves of the rows'' digests';

CREATE TABLE IF NOT EXISTS memferry.epoch (
    topic text PRIMARY KEY,
    epoch bigint NOT NULL CHECK (epoch > 0)
);
COMMENT ON TABLE memferry.epoch IS 'rises with each switch that is asked for; barriers carry it';

CREATE TABLE IF NOT EXISTS memferry.fence (
    id uuid PRIMARY KEY,
    projection text NOT NULL,
    purpose text NOT NULL CHECK (purpose IN ('cutover', 'switch_back', 'hold', 'rollback')),
    epoch bigint NOT NULL,
    lease_ms integer NOT NULL CHECK (lease_ms > 0),
    state text NOT NULL CHECK (state IN ('asked', 'decided', 'released', 'aborted')),
    reason text NOT NULL DEFAULT '',
    renewals integer NOT NULL DEFAULT 0,
    noted boolean NOT NULL DEFAULT false,
    subject text NOT NULL DEFAULT '',
    asked_at timestamptz NOT NULL,
    lease_until timestamptz NOT NULL,
    ended_at timestamptz
);
COMMENT ON COLUMN memferry.fence.lease_until IS
    'counted from before the request was sent: it ends before any writer''s own lease does';
COMMENT ON COLUMN memferry.fence.noted IS 'an abort is in the audit trail';
CREATE UNIQUE INDEX IF NOT EXISTS fence_asked ON memferry.fence (projection, (purpose = 'hold'))
    WHERE state = 'asked';
CREATE TABLE IF NOT EXISTS memferry.fence_source (
    fence uuid NOT NULL REFERENCES memferry.fence ON DELETE CASCADE,
    source text NOT NULL,
    state text NOT NULL CHECK (state IN ('fenced', 'caught_up', 'refused', 'opened')),
    detail text NOT NULL DEFAULT '',
    heads jsonb,
    pause_ms double precision,
    counting text NOT NULL DEFAULT '',
    sums jsonb,
    PRIMARY KEY (fence, source)
);
COMMENT ON COLUMN memferry.fence_source.heads IS 'partition to the barrier''s seq';
COMMENT ON COLUMN memferry.fence_source.pause_ms IS
    'for how long this writer held mutations, by its own clock';

CREATE TABLE IF NOT EXISTS memferry.route (
    projection text PRIMARY KEY,
    route text NOT NULL CHECK (route IN ('memory', 'shadow', 'postgres')),
    epoch bigint NOT NULL,
    decision bigint NOT NULL,
    since timestamptz NOT NULL,
    decided_by text NOT NULL
);
COMMENT ON TABLE memferry.route IS 'where reads go; changed once Kafka holds the decision';
CREATE TABLE IF NOT EXISTS memferry.route_source (
    projection text NOT NULL,
    source text NOT NULL,
    decision bigint NOT NULL,
    PRIMARY KEY (projection, source)
);
COMMENT ON TABLE memferry.route_source IS 'the newest route that each source follows';

CREATE TABLE IF NOT EXISTS memferry.migration (
    id uuid PRIMARY KEY,
    projection text NOT NULL,
    mode text NOT NULL CHECK (mode IN ('zero_downtime', 'stop_and_copy')),
    state text NOT NULL CHECK (state IN ('running', 'finished', 'undone')),
    phase text NOT NULL,
    term bigint NOT NULL DEFAULT 1,
    holder text NOT NULL,
    reason text NOT NULL DEFAULT '',
    started_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);
COMMENT ON COLUMN memferry.migration.term IS
    'rises when another run takes the migration over: the earlier one can change nothing more';
CREATE UNIQUE INDEX IF NOT EXISTS migration_running ON memferry.migration (projection)
    WHERE state = 'running';
CREATE TABLE IF NOT EXISTS memferry.migration_phase (
    migration uuid NOT NULL REFERENCES memferry.migration ON DELETE CASCADE,
    number integer NOT NULL,
    phase text NOT NULL,
    entered_at timestamptz NOT NULL,
    left_at timestamptz,
    outcome text NOT NULL DEFAULT '',
    detail text NOT NULL DEFAULT '',
    PRIMARY KEY (migration, number)
);

CREATE TABLE IF NOT EXISTS memferry.audit (
    id uuid PRIMARY KEY,
    projection text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('audit', 'validation')),
    holder text NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    verdict text CHECK (verdict IN ('clean', 'findings', 'error', 'interrupted')),
    position text NOT NULL DEFAULT '',
    findings bigint NOT NULL DEFAULT 0,
    rows bigint NOT NULL DEFAULT 0,
    score double precision,
    seconds double precision NOT NULL DEFAULT 0,
    report jsonb,
    error text NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS audit_newest ON memferry.audit (projection, started_at DESC);
COMMENT ON TABLE memferry.audit IS
    'every audit and validation, kept for audit.keep_days; nothing is decided by it';
COMMENT ON COLUMN memferry.audit.verdict IS 'null: under way, or its process ended without a word';
COMMENT ON COLUMN memferry.audit.report IS 'as `memferry audit history --id` shows it again';

-- Columns that tables made earlier lack; looked for first, since ALTER waits for every reader.
DO $$
DECLARE
    added record;
BEGIN
    FOR added IN SELECT * FROM (VALUES
        ('request', 'question', 'jsonb'),
        ('memory_row', 'row_text', 'jsonb'),
        ('fence_source', 'counting', 'text NOT NULL DEFAULT '''''),
        ('fence_source', 'sums', 'jsonb'),
        ('checkpoint', 'tail', 'text NOT NULL DEFAULT '''''),
        ('projection', 'voids', 'jsonb NOT NULL DEFAULT ''[]'''),
        ('fence', 'subject', 'text NOT NULL DEFAULT '''''),
        ('savepoint', 'purpose', 'text NOT NULL DEFAULT '''''),
        ('savepoint', 'note', 'text NOT NULL DEFAULT '''''),
        ('savepoint', 'kept', 'boolean NOT NULL DEFAULT false'),
        ('savepoint', 'dropped_at', 'timestamptz')
    ) AS columns (table_name, column_name, definition)
    LOOP
        IF NOT EXISTS (
            SELECT FROM information_schema.columns AS c WHERE c.table_schema = 'memferry'
            AND c.table_name = added.table_name AND c.column_name = added.column_name
        ) THEN
            EXECUTE format('ALTER TABLE memferry.%I ADD COLUMN %I %s',
                added.table_name, added.column_name, added.definition);
        END IF;
    END LOOP;
    IF NOT EXISTS (
        SELECT FROM pg_constraint WHERE conrelid = 'memferry.fence'::regclass
        AND conname = 'fence_purpose_check' AND pg_get_constraintdef(oid) LIKE '%rollback%'
    ) THEN
        ALTER TABLE memferry.fence DROP CONSTRAINT IF EXISTS fence_purpose_check;
        ALTER TABLE memferry.fence ADD CONSTRAINT fence_purpose_check
            CHECK (purpose IN ('cutover', 'switch_back', 'hold', 'rollback'));
    END IF;
END $$;
COMMENT ON COLUMN memferry.projection.voids IS
    '[id, source] of each void that its rows obey; all others were applied, or lie ahead';
COMMENT ON COLUMN memferry.fence.subject IS 'of a rollback: the id of the void';
COMMENT ON COLUMN memferry.savepoint.purpose IS
    'what had it taken, every: a schedule; empty: somebody, by hand';
COMMENT ON COLUMN memferry.savepoint.kept IS
    'tables were copied when it was taken here; a rollback that begins with them uses them up';
COMMENT ON COLUMN memferry.savepoint.dropped_at IS 'since when it is none any more';
COMMENT ON COLUMN memferry.checkpoint.tail IS
    'SHA-256 of the record before next_offset: a topic that was replaced has another one there';
COMMENT ON COLUMN memferry.memory_row.row_text IS
    'the texts that are digested of the row''s values, in the order of the table''s columns';
COMMENT ON COLUMN memferry.fence_source.sums IS
    'partition to table to the sums that stand in the barrier, as the log has them';
COMMENT ON COLUMN memferry.fence_source.counting IS
    'names the beginning since which this writer counts its sums; empty: it has none';
