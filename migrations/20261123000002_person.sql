-- Somebody who writes, as one guild knows them, and whom they play.

CREATE TABLE person (
    guild_id     bigint NOT NULL,
    id           bigint GENERATED ALWAYS AS IDENTITY,
    external_id  text NOT NULL,
    display_name text NOT NULL,
    persona_id   bigint,
    vtime        double precision NOT NULL DEFAULT 0,
    created_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT person_pkey PRIMARY KEY (guild_id, id),
    CONSTRAINT person_guild_fkey FOREIGN KEY (guild_id) REFERENCES guild (id),
    CONSTRAINT person_external_id_key UNIQUE (guild_id, external_id)
);

COMMENT ON TABLE person IS 'Somebody who writes, as one guild knows them; the same human in two guilds is two rows.';
COMMENT ON COLUMN person.external_id IS 'Their id on the platform.';
COMMENT ON COLUMN person.display_name IS 'The name that the platform shows; heads their turns where they play no persona.';
COMMENT ON COLUMN person.persona_id IS 'Whom they play in this guild where a scene says nothing else.';
COMMENT ON COLUMN person.vtime IS 'Fair queueing: the start tag of their next job, in the virtual time of their guild.';

CREATE TABLE persona (
    guild_id    bigint NOT NULL,
    id          bigint GENERATED ALWAYS AS IDENTITY,
    person_id   bigint NOT NULL,
    name        text NOT NULL,
    name_key    text NOT NULL,
    description text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT persona_pkey PRIMARY KEY (guild_id, id),
    CONSTRAINT persona_person_fkey FOREIGN KEY (guild_id, person_id) REFERENCES person (guild_id, id),
    CONSTRAINT persona_owner_key UNIQUE (guild_id, person_id, id),
    CONSTRAINT persona_name_key UNIQUE (guild_id, person_id, name_key)
);

COMMENT ON TABLE persona IS 'Somebody whom a person plays.';
COMMENT ON COLUMN persona.name_key IS 'The name folded (NFKC, lower case), so that letter case makes no second persona.';
COMMENT ON COLUMN persona.description IS 'Who that is; may be empty.';
COMMENT ON CONSTRAINT persona_owner_key ON persona IS 'Lets others refer to a persona together with its owner: nobody plays a persona of somebody else.';

ALTER TABLE person
    ADD CONSTRAINT person_persona_fkey FOREIGN KEY (guild_id, id, persona_id)
    REFERENCES persona (guild_id, person_id, id);
