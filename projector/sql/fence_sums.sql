SELECT source, counting, sums FROM memferry.fence_source WHERE fence = %s
