UPDATE memferry.{table} SET projection = %(to)s WHERE projection = %(of)s
