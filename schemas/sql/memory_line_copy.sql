COPY memferry.memory_line (request, number, kind, type, data) FROM STDIN
