-- A guild's own sampling presets.

CREATE TABLE preset (
    guild_id   bigint NOT NULL,
    name_key   text NOT NULL,
    name       text NOT NULL,
    params     jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT preset_pkey PRIMARY KEY (guild_id, name_key),
    CONSTRAINT preset_guild_fkey FOREIGN KEY (guild_id) REFERENCES guild (id)
);

COMMENT ON TABLE preset IS 'Sampler parameters under a name, as one guild keeps them; the built-in presets live in the program.';
COMMENT ON COLUMN preset.name_key IS 'The name folded (NFKC, lower case).';
COMMENT ON COLUMN preset.params IS 'The parameters, in the sampling room''s own form.';
