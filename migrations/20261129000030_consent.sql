-- Whose words may be read: who agreed, and whom a proxy speaks for.

ALTER TABLE guild ADD COLUMN consent text NOT NULL DEFAULT 'assumed'
    CONSTRAINT guild_consent_check CHECK (consent IN ('asked', 'assumed'));
-- Guilds that were there before go on as they did; new ones ask.
ALTER TABLE guild ALTER COLUMN consent SET DEFAULT 'asked';

COMMENT ON COLUMN guild.consent IS 'Whether each person is asked before their words are taken, or the community sees to that itself.';

ALTER TABLE person
    ADD COLUMN agreed_at        timestamptz,
    ADD COLUMN agreed_words     integer,
    ADD COLUMN consent_asked_at timestamptz,
    ADD COLUMN owner_id         bigint,
    ADD CONSTRAINT person_agreed_check CHECK ((agreed_at IS NULL) = (agreed_words IS NULL)),
    ADD CONSTRAINT person_owner_fkey FOREIGN KEY (guild_id, owner_id)
        REFERENCES person (guild_id, id);

CREATE INDEX person_owner_idx ON person (guild_id, owner_id);

COMMENT ON COLUMN person.agreed_at IS 'Since when this person agrees that their words are taken; absent where they did not, or do no more.';
COMMENT ON COLUMN person.agreed_words IS 'The version of the words that they agreed to.';
COMMENT ON COLUMN person.consent_asked_at IS 'When they were asked in a channel; nobody is asked there twice.';
COMMENT ON COLUMN person.owner_id IS 'For somebody who speaks through a proxy: who they are. What that person said of being heard holds for them.';

CREATE VIEW person_standing WITH (security_invoker = true) AS
SELECT person.guild_id, person.id AS person_id,
       person.blocked_at IS NOT NULL OR owner.blocked_at IS NOT NULL AS is_blocked,
       person.opted_out_at IS NOT NULL OR owner.opted_out_at IS NOT NULL AS is_opted_out,
       guild.consent = 'asked' AND coalesce(owner.agreed_at, person.agreed_at) IS NULL
           AS must_agree
FROM person
JOIN guild ON guild.id = person.guild_id
LEFT JOIN person AS owner ON owner.guild_id = person.guild_id AND owner.id = person.owner_id;

GRANT SELECT ON person_standing TO dramatis_guild;

COMMENT ON VIEW person_standing IS 'Who is heard in scenes: whoever is none of the three.';
