-- An outbox of format 1 as it was made then, with three events of two lanes.
CREATE TABLE identity (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    format INTEGER NOT NULL,
    content BLOB NOT NULL
) STRICT;
CREATE TABLE lane (
    partition INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL,
    digest TEXT NOT NULL,
    epoch INTEGER NOT NULL
) STRICT;
CREATE TABLE event (
    row INTEGER PRIMARY KEY,
    partition INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    stream TEXT NOT NULL,
    event BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX event_lane ON event (partition, seq);
INSERT INTO identity VALUES (1, 1, CAST('{"source":"app-1","topic":"t","generation":1,"partitions":3}' AS BLOB));
INSERT INTO lane VALUES (0, 2, '84cab7debc8f510a05fbdc1431c92c41c614f7369823a063253b07e8733721b2', 1);
INSERT INTO lane VALUES (2, 1, '220e805a9097b376d5d28746ecebaa498650a33f1b305aed153af044fab0b0ad', 1);
INSERT INTO event VALUES (1, 0, 1, 'account/a', CAST('{"specversion":"1.0","id":"01a21085-792e-7000-9955-9a1395634585","source":"app-1","type":"ledger.account.opened.v1","subject":"account/a","time":"2026-11-25T02:25:12.494036304Z","seq":"1","epoch":1,"chain":"d649054602a95ba328f84e9b3a145eabf3e396929c1d7a55e6071caeb4d151f9","data":{"account":"a","owner":"ann","opened_at":"2026-01-02T03:04:05.000006Z","tags":{}}}' AS BLOB));
INSERT INTO event VALUES (2, 2, 1, 'account/b', CAST('{"specversion":"1.0","id":"01a21085-792e-7001-87d8-3a336cbb719f","source":"app-1","type":"ledger.account.opened.v1","subject":"account/b","time":"2026-11-25T02:25:12.494153083Z","seq":"1","epoch":1,"chain":"dfd6f4f0c87f789a0c553e7c21c61d9ea3db29f1e587a55c7226bf7ab7630d24","data":{"account":"b","owner":"ann","opened_at":"2026-01-02T03:04:05.000006Z","tags":{}}}' AS BLOB));
INSERT INTO event VALUES (3, 0, 2, 'account/a', CAST('{"specversion":"1.0","id":"01a21085-792e-7002-bbbb-b958d422fdd1","source":"app-1","type":"ledger.account.deposited.v1","subject":"account/a","time":"2026-11-25T02:25:12.494238112Z","seq":"2","epoch":1,"chain":"6dcbd4049371b53dd1ce7191911f9b086f9d7d890241fca29cb6d3b137e59b49","data":{"account":"a","amount":"5","balance":"5"}}' AS BLOB));
