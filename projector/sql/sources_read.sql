SELECT name, snapshot_at, retired_at FROM memferry.source WHERE topic = %s ORDER BY name
