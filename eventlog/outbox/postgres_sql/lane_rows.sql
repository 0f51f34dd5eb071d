SELECT number, partition, seq, stream, event FROM {schema}.event WHERE partition = %s ORDER BY seq
