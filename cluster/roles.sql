-- The roles of the platform; safe to repeat. Passwords are set by cluster/roles.py, grants by the migrations.

DO $$
DECLARE
    login text;
BEGIN
    -- Owns every object and logs in nowhere.
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'receipts_owner') THEN
        CREATE ROLE receipts_owner NOLOGIN;
    END IF;
    -- Owns the search functions only: they apply the caller's regions themselves (see 0001_foundation.sql).
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'receipts_search') THEN
        CREATE ROLE receipts_search NOLOGIN BYPASSRLS;
    END IF;
    FOREACH login IN ARRAY ARRAY[
        'receipts_ingest', 'receipts_pipeline', 'receipts_api', 'receipts_auth', 'receipts_portal',
        'receipts_retention', 'receipts_mailer'
    ] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = login) THEN
            EXECUTE format('CREATE ROLE %I', login);
        END IF;
        -- INHERIT off: even a membership granted by mistake gives nothing unasked.
        EXECUTE format('ALTER ROLE %I LOGIN NOINHERIT NOCREATEDB NOCREATEROLE', login);
    END LOOP;
    -- Attributes that only a superuser may state; nobody else could have granted them either.
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        ALTER ROLE receipts_owner NOLOGIN NOSUPERUSER NOBYPASSRLS NOREPLICATION;
        ALTER ROLE receipts_search NOLOGIN NOSUPERUSER BYPASSRLS NOREPLICATION;
        FOREACH login IN ARRAY ARRAY[
            'receipts_ingest', 'receipts_pipeline', 'receipts_api', 'receipts_auth', 'receipts_portal',
            'receipts_retention', 'receipts_mailer'
        ] LOOP
            EXECUTE format('ALTER ROLE %I NOSUPERUSER NOBYPASSRLS NOREPLICATION', login);
        END LOOP;
    END IF;
    -- The administrator creates objects in the owners' names; a superuser may already.
    IF NOT pg_has_role(current_user, 'receipts_owner', 'SET') THEN
        GRANT receipts_owner TO CURRENT_USER WITH SET TRUE, INHERIT FALSE;
    END IF;
    IF NOT pg_has_role(current_user, 'receipts_search', 'SET') THEN
        GRANT receipts_search TO CURRENT_USER WITH SET TRUE, INHERIT FALSE;
    END IF;
    -- Nobody makes objects where every role's search path looks.
    EXECUTE format('REVOKE CREATE ON SCHEMA public FROM PUBLIC');
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
END
$$;
