SELECT route, epoch, decision, since, decided_by FROM memferry.route WHERE projection = %s
