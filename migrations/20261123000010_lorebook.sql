-- Lore that fires by keywords, and the scenes that use it.

CREATE TABLE lorebook (
    guild_id   bigint NOT NULL,
    id         bigint GENERATED ALWAYS AS IDENTITY,
    name       text NOT NULL,
    name_key   text NOT NULL,
    body       json NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT lorebook_pkey PRIMARY KEY (guild_id, id),
    CONSTRAINT lorebook_guild_fkey FOREIGN KEY (guild_id) REFERENCES guild (id),
    CONSTRAINT lorebook_name_key UNIQUE (guild_id, name_key)
);

COMMENT ON TABLE lorebook IS 'A collection of lore entries, as one guild keeps it.';
COMMENT ON COLUMN lorebook.name_key IS 'The name folded (NFKC, lower case).';
COMMENT ON COLUMN lorebook.body IS 'Settings and entries, whole; read at once and never searched by SQL.';

CREATE TABLE scene_lorebook (
    guild_id    bigint NOT NULL,
    scene_id    bigint NOT NULL,
    lorebook_id bigint NOT NULL,
    joined_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT scene_lorebook_pkey PRIMARY KEY (guild_id, scene_id, lorebook_id),
    CONSTRAINT scene_lorebook_scene_fkey FOREIGN KEY (guild_id, scene_id) REFERENCES scene (guild_id, id),
    CONSTRAINT scene_lorebook_lorebook_fkey FOREIGN KEY (guild_id, lorebook_id)
        REFERENCES lorebook (guild_id, id) ON DELETE CASCADE
);

COMMENT ON TABLE scene_lorebook IS 'Which lorebooks a scene uses.';
