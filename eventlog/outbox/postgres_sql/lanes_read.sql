SELECT partition, seq, digest, epoch FROM {schema}.lane
