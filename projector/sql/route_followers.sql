SELECT source FROM memferry.route_source WHERE projection = %s AND decision >= %s
