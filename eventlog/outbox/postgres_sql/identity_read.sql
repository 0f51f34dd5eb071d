SELECT format, content, holder FROM {schema}.identity
