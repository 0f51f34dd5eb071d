SELECT EXISTS (SELECT FROM {schema}.command)
