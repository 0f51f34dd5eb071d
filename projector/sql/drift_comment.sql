COMMENT ON {target} IS {comment}
