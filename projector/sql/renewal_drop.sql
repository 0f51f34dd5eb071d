DROP {what} IF EXISTS {relations}
