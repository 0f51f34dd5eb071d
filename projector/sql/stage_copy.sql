COPY {stage} ({columns}, memferry_op, memferry_mask) FROM STDIN
