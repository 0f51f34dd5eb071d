COPY {stage} ({columns}, memferry_op, memferry_mask) FROM STDIN
WITH (FORMAT csv, NULL 'null', QUOTE '"', ESCAPE '\')
