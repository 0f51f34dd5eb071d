SELECT 'memferry_verify_' || oid FROM pg_database WHERE datname = current_database()
