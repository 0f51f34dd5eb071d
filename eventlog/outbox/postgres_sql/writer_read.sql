SELECT writer, last_row FROM {schema}.identity
