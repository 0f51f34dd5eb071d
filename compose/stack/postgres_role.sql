-- The role that owns memferry's database. It is not a superuser: what memferry does on the
-- embedded server it can do on a managed one. Its password comes in a setting of the session,
-- for a role statement takes no parameters.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'memferry') THEN
        EXECUTE format(
            'CREATE ROLE memferry LOGIN CREATEDB PASSWORD %L',
            current_setting('memferry.password')
        );
    END IF;
END
$$;
