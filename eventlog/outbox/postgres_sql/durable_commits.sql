-- Only off is not durable; whoever asks for more than this server's own disk keeps it.
SELECT CASE WHEN current_setting('synchronous_commit') = 'off'
    THEN set_config('synchronous_commit', 'on', %s) END
