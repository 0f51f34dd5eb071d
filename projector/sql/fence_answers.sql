SELECT source, state, detail, heads, pause_ms FROM memferry.fence_source WHERE fence = %s
