UPDATE memferry.decision SET published = true WHERE topic = %s AND seq <= %s
