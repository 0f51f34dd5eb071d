SELECT EXISTS (SELECT FROM memferry.lane WHERE projection = %s AND source <> %s)
