-- Answers that a command which was killed never read.
DELETE FROM memferry.request
WHERE projection = %s AND kind = 'retry' AND state <> 'asked'
    AND asked_at < clock_timestamp() - interval '1 day'
