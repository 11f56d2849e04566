-- A community, and what its channels are set up for.

CREATE TABLE guild (
    id          bigint GENERATED ALWAYS AS IDENTITY,
    platform    text NOT NULL,
    external_id text NOT NULL,
    name        text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT guild_pkey PRIMARY KEY (id),
    CONSTRAINT guild_external_id_key UNIQUE (platform, external_id)
);

COMMENT ON TABLE guild IS 'A community: a Discord guild, a forum, or the one local guild of the terminal. Every row that a command can name is keyed by it.';
COMMENT ON COLUMN guild.platform IS 'Where it lives: discord, terminal, …';
COMMENT ON COLUMN guild.external_id IS 'Its id on that platform.';
COMMENT ON COLUMN guild.name IS 'What the platform calls it; for people to read.';
