COPY {schema}.event (number, partition, seq, stream, event) FROM STDIN (FORMAT binary)
