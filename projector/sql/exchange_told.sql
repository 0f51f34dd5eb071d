SELECT pg_notify('memferry_projection', %(projection)s), pg_notify('memferry_applied', %(projection)s)
