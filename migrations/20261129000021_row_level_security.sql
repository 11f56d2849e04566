-- The rows of a guild are held by the database itself: a role that owns nothing sees
-- and writes those of one guild alone, whatever a query asks for.
--
-- Roles belong to the server, not to a database, so this one may be there already, and
-- another database may make it at the same moment.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'dramatis_guild') THEN
        CREATE ROLE dramatis_guild NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN
        NULL;
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'the user % may not make roles; as an administrator of the server run: CREATE ROLE dramatis_guild NOLOGIN; GRANT dramatis_guild TO %', current_user, quote_ident(current_user)
            USING ERRCODE = 'insufficient_privilege';
END
$$;

DO $$
BEGIN
    IF EXISTS (
        SELECT FROM pg_roles
        WHERE rolname = 'dramatis_guild' AND (rolsuper OR rolbypassrls OR rolcreaterole)
    ) THEN
        RAISE EXCEPTION 'the role dramatis_guild may do too much; as an administrator of the server run: ALTER ROLE dramatis_guild NOSUPERUSER NOBYPASSRLS NOCREATEROLE';
    END IF;
    -- Whether we may take it on is tried: what it takes differs between versions.
    BEGIN
        SET LOCAL ROLE dramatis_guild;
        RESET ROLE;
    EXCEPTION WHEN insufficient_privilege THEN
        EXECUTE format('GRANT dramatis_guild TO %I', current_user);
        SET LOCAL ROLE dramatis_guild;
        RESET ROLE;
    END;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'the user % may not act as the role dramatis_guild; as an administrator of the server run: GRANT dramatis_guild TO %', current_user, quote_ident(current_user)
            USING ERRCODE = 'insufficient_privilege';
END
$$;

-- A schema that was made by hand may be closed to others.
GRANT USAGE ON SCHEMA public TO dramatis_guild;

CREATE FUNCTION current_guild() RETURNS bigint
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('dramatis.guild', true), '')::bigint;

COMMENT ON FUNCTION current_guild() IS 'The guild that this transaction works for: SET LOCAL dramatis.guild. Absent where none was said; then no row is seen.';

CREATE FUNCTION hold_by_guild(held regclass) RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    sequence text;
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', held);
    EXECUTE format('CREATE POLICY of_guild ON %s USING (guild_id = current_guild()) WITH CHECK (guild_id = current_guild())', held);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO dramatis_guild', held);
    FOR sequence IN
        SELECT pg_get_serial_sequence(held::text, attname) FROM pg_attribute
        WHERE attrelid = held AND attnum > 0 AND NOT attisdropped
    LOOP
        CONTINUE WHEN sequence IS NULL;
        EXECUTE format('GRANT USAGE ON SEQUENCE %s TO dramatis_guild', sequence);
    END LOOP;
END
$$;

COMMENT ON FUNCTION hold_by_guild(regclass) IS 'Called by the migration that makes a table with a guild_id: its rows are held by guild from then on.';

SELECT hold_by_guild(pg_class.oid::regclass)
FROM pg_class
JOIN pg_attribute ON attrelid = pg_class.oid AND attname = 'guild_id' AND NOT attisdropped
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p');

-- The guild itself has its key for a guild_id, and is neither made nor unmade from within.
ALTER TABLE guild ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_guild ON guild USING (id = current_guild()) WITH CHECK (id = current_guild());
GRANT SELECT, UPDATE ON guild TO dramatis_guild;

-- The time of the queue is nobody's secret.
GRANT SELECT ON fair_clock TO dramatis_guild;

-- How many wait in all is asked from within a guild, and is no more than a number.
CREATE FUNCTION count_waiting_in_all(most bigint) RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
    SELECT count(*) FROM (
        SELECT FROM job
        WHERE state = 'queued' AND work ->> 'kind' <> 'show' AND NOT resting
        LIMIT most) AS waiting
$$;

REVOKE EXECUTE ON FUNCTION count_waiting_in_all(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION count_waiting_in_all(bigint) TO dramatis_guild;

COMMENT ON FUNCTION count_waiting_in_all(bigint) IS 'How many replies wait over all guilds, counted no further than to the limit.';
