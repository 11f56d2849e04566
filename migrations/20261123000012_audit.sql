-- Who changed what.

CREATE TABLE audit (
    guild_id  bigint NOT NULL,
    id        bigint GENERATED ALWAYS AS IDENTITY,
    person_id bigint,
    action    text NOT NULL,
    detail    jsonb NOT NULL DEFAULT '{}',
    at        timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT audit_pkey PRIMARY KEY (guild_id, id),
    CONSTRAINT audit_guild_fkey FOREIGN KEY (guild_id) REFERENCES guild (id),
    CONSTRAINT audit_person_fkey FOREIGN KEY (guild_id, person_id) REFERENCES person (guild_id, id)
);

COMMENT ON TABLE audit IS 'What people did to a guild''s characters, scenes and settings. Ids and settings only, never what was said.';
COMMENT ON COLUMN audit.person_id IS 'Who; absent for the service itself.';
COMMENT ON COLUMN audit.action IS 'What, as noun.verb: character.insert, scene.end, …';
