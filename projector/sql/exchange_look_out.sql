-- Keeps vacuum and makers of partitions out, and has an autovacuum that is at work give way.
LOCK TABLE {tables} IN SHARE UPDATE EXCLUSIVE MODE
