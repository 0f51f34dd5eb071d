-- Members of the consumer group hold it together; a run of fixed partitions is alone.
SELECT pg_advisory_lock(hashtextextended('memferry projection ' || %s, 0))
