-- Above both: whoever claimed either side's partitions commits nothing more.
UPDATE memferry.checkpoint SET term = %(term)s, holder = '', stopped = '', updated_at = now()
WHERE projection = %(projection)s
