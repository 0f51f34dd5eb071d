SELECT void::text, voided_at, actor, reason, restored_at, restored_by FROM memferry.void
WHERE topic = %s ORDER BY voided_at, id, source
