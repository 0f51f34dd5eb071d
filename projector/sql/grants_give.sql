GRANT {privilege} ON {what} TO {whom} {passing}
