SELECT DISTINCT {stream} FROM {table}
