UPDATE memferry.fence SET noted = true WHERE id = %s
