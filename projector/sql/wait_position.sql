-- Each partition that is waited for: how far it is, and what below the goal was put aside.
SELECT p.state, p.reason, n.partition, c.next_offset >= n.goal, c.stopped, (
    SELECT count(*) FROM memferry.parked AS k
    WHERE k.projection = c.projection AND k.partition = c.partition AND k.record_offset < n.goal
)
FROM memferry.projection AS p
JOIN memferry.checkpoint AS c ON c.projection = p.name
JOIN unnest(%(partitions)s::int[], %(goals)s::bigint[]) AS n (partition, goal)
    ON n.partition = c.partition
WHERE p.name = %(projection)s
ORDER BY n.partition
