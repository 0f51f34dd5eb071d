SELECT content, events FROM {schema}.command WHERE id = %s
