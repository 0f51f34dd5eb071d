-- Every bar ever received; memory holds the newest of each symbol. One partition a month.
-- Keys are ordered by code point ("C"), as Python orders them: pages of reads follow the index.
CREATE TABLE market_bars (
    symbol       text COLLATE "C" NOT NULL,
    opened_at    timestamptz NOT NULL,
    opened_at_ns bigint      NOT NULL,
    open         numeric     NOT NULL,
    high         numeric     NOT NULL,
    low          numeric     NOT NULL,
    close        numeric     NOT NULL,
    volume       bigint      NOT NULL,
    PRIMARY KEY (symbol, opened_at),
    CONSTRAINT market_bars_low_is_lowest CHECK (low > 0 AND low <= open AND low <= close),
    CONSTRAINT market_bars_high_is_highest CHECK (high >= open AND high >= close),
    CONSTRAINT market_bars_volume_is_a_count CHECK (volume >= 0)
) PARTITION BY RANGE (opened_at);
COMMENT ON TABLE market_bars IS 'Price bars by symbol and the time at which they opened.';
COMMENT ON COLUMN market_bars.symbol IS 'What is traded, as the exchange names it.';
COMMENT ON COLUMN market_bars.opened_at IS 'When the bar began, to the microsecond.';
COMMENT ON COLUMN market_bars.opened_at_ns IS 'opened_at in nanoseconds since 1970 UTC.';
COMMENT ON COLUMN market_bars.open IS 'First price, per share.';
COMMENT ON COLUMN market_bars.high IS 'Highest price, per share.';
COMMENT ON COLUMN market_bars.low IS 'Lowest price, per share.';
COMMENT ON COLUMN market_bars.close IS 'Last price, per share.';
COMMENT ON COLUMN market_bars.volume IS 'Shares traded.';
