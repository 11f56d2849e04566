-- The audit is a chain: every row carries a digest of itself and of the row before it,
-- so that one that was edited, removed or put in is noticed.

CREATE TABLE audit_head (
    guild_id bigint NOT NULL,
    ordinal  bigint NOT NULL DEFAULT 0,
    hash     bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex'),
    CONSTRAINT audit_head_pkey PRIMARY KEY (guild_id),
    CONSTRAINT audit_head_guild_fkey FOREIGN KEY (guild_id) REFERENCES guild (id),
    CONSTRAINT audit_head_hash_check CHECK (length(hash) = 32)
);

COMMENT ON TABLE audit_head IS 'The end of each guild''s chain. Locked by whoever adds to it; tells when the last rows are gone.';
COMMENT ON COLUMN audit_head.ordinal IS 'The number of the last row; 0 before the first.';
COMMENT ON COLUMN audit_head.hash IS 'Its digest; 32 zero bytes before the first.';

ALTER TABLE audit
    ADD COLUMN ordinal bigint,
    ADD COLUMN prev_hash bytea,
    ADD COLUMN hash bytea;

CREATE FUNCTION audit_digest(entry audit) RETURNS bytea
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT sha256(
        convert_to('dramatis audit 1', 'UTF8')
        || entry.prev_hash
        || int8send(entry.guild_id)
        || int8send(entry.ordinal)
        || int8send(entry.id)
        || CASE WHEN entry.person_id IS NULL THEN '\x00'::bytea
                ELSE '\x01'::bytea || int8send(entry.person_id) END
        || int8send((extract(epoch FROM entry.at) * 1000000)::bigint)
        || int4send(octet_length(convert_to(entry.action, 'UTF8')))
        || convert_to(entry.action, 'UTF8')
        || int4send(octet_length(convert_to(entry.detail::text, 'UTF8')))
        || convert_to(entry.detail::text, 'UTF8'))
$$;

COMMENT ON FUNCTION audit_digest(audit) IS 'SHA-256 over: "dramatis audit 1", prev_hash, guild_id, ordinal, id, the person (byte 0, or byte 1 and the key), the time in microseconds since 1970 UTC, the length of action and action, the length of detail and detail as jsonb prints it. Numbers are 8 bytes, lengths 4, big end first; texts are UTF-8.';

-- What is there already, in the order of its keys.
DO $$
DECLARE
    entry audit;
    head audit_head;
BEGIN
    FOR entry IN SELECT * FROM audit ORDER BY guild_id, id LOOP
        IF head.guild_id IS DISTINCT FROM entry.guild_id THEN
            INSERT INTO audit_head (guild_id) VALUES (entry.guild_id) RETURNING * INTO head;
        END IF;
        entry.ordinal := head.ordinal + 1;
        entry.prev_hash := head.hash;
        entry.hash := audit_digest(entry);
        UPDATE audit SET ordinal = entry.ordinal, prev_hash = entry.prev_hash, hash = entry.hash
        WHERE guild_id = entry.guild_id AND id = entry.id;
        UPDATE audit_head SET ordinal = entry.ordinal, hash = entry.hash
        WHERE guild_id = entry.guild_id RETURNING * INTO head;
    END LOOP;
END
$$;

ALTER TABLE audit
    ALTER COLUMN ordinal SET NOT NULL,
    ALTER COLUMN prev_hash SET NOT NULL,
    ALTER COLUMN hash SET NOT NULL,
    ADD CONSTRAINT audit_ordinal_key UNIQUE (guild_id, ordinal),
    ADD CONSTRAINT audit_hash_check CHECK (length(prev_hash) = 32 AND length(hash) = 32);

COMMENT ON COLUMN audit.ordinal IS 'Its number in the guild, from 1, without gaps.';
COMMENT ON COLUMN audit.prev_hash IS 'The digest of the row before it.';
COMMENT ON COLUMN audit.hash IS 'Its own digest: audit_digest.';

-- As the tables' owner, since the role of guilds may write neither head nor chain.
CREATE FUNCTION audit_chain() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    head audit_head;
BEGIN
    INSERT INTO audit_head (guild_id) VALUES (NEW.guild_id) ON CONFLICT DO NOTHING;
    SELECT * INTO head FROM audit_head WHERE guild_id = NEW.guild_id FOR UPDATE;
    NEW.ordinal := head.ordinal + 1;
    NEW.prev_hash := head.hash;
    NEW.hash := audit_digest(NEW);
    UPDATE audit_head SET ordinal = NEW.ordinal, hash = NEW.hash WHERE guild_id = NEW.guild_id;
    RETURN NEW;
END
$$;

CREATE TRIGGER audit_chain BEFORE INSERT ON audit
    FOR EACH ROW EXECUTE FUNCTION audit_chain();

-- What stands, stands. A guild's audit goes as a whole or not at all, where retention
-- says so: SET LOCAL dramatis.retention = 'on'; DELETE FROM audit WHERE guild_id = …;
-- DELETE FROM audit_head WHERE guild_id = …
CREATE FUNCTION audit_stands() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('dramatis.retention', true) = 'on' THEN
        RETURN OLD;
    END IF;
    -- The head moves with its chain, which is done by the trigger above.
    IF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'audit_head' AND pg_trigger_depth() > 1 THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% is only ever added to; % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER audit_stands BEFORE UPDATE OR DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION audit_stands();
CREATE TRIGGER audit_stays BEFORE TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_stands();
CREATE TRIGGER audit_head_stands BEFORE UPDATE OR DELETE ON audit_head
    FOR EACH ROW EXECUTE FUNCTION audit_stands();
CREATE TRIGGER audit_head_stays BEFORE TRUNCATE ON audit_head
    FOR EACH STATEMENT EXECUTE FUNCTION audit_stands();

CREATE FUNCTION audit_goes_whole() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    IF (SELECT count(*) FROM audit_head WHERE guild_id = OLD.guild_id)
        + (SELECT count(*) FROM (SELECT FROM audit WHERE guild_id = OLD.guild_id LIMIT 1) AS left_over) > 0
    THEN
        RAISE EXCEPTION 'the audit of a guild is removed as a whole, with its head'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER audit_goes_whole AFTER DELETE ON audit
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit_goes_whole();
CREATE CONSTRAINT TRIGGER audit_head_goes_whole AFTER DELETE ON audit_head
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit_goes_whole();

SELECT hold_by_guild('audit_head');
REVOKE INSERT, UPDATE, DELETE ON audit_head FROM dramatis_guild;
REVOKE UPDATE, DELETE ON audit FROM dramatis_guild;
