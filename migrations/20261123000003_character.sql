-- Somebody whom the model plays.

CREATE TABLE character (
    guild_id    bigint NOT NULL,
    id          bigint GENERATED ALWAYS AS IDENTITY,
    name        text NOT NULL,
    name_key    text NOT NULL,
    sheet       jsonb NOT NULL,
    card        json,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    archived_at timestamptz,
    CONSTRAINT character_pkey PRIMARY KEY (guild_id, id),
    CONSTRAINT character_guild_fkey FOREIGN KEY (guild_id) REFERENCES guild (id)
);

CREATE UNIQUE INDEX character_name_key ON character (guild_id, name_key) WHERE archived_at IS NULL;

COMMENT ON TABLE character IS 'Somebody whom the model plays, as one guild keeps it.';
COMMENT ON COLUMN character.name IS 'Its name, as in the sheet; for lists and completion.';
COMMENT ON COLUMN character.name_key IS 'The name folded (NFKC, lower case): unique in the guild among those not archived.';
COMMENT ON COLUMN character.sheet IS 'What is known of it, without the card.';
COMMENT ON COLUMN character.card IS 'The card it came from, whole; json, not jsonb, so that the order of its keys survives.';
COMMENT ON COLUMN character.archived_at IS 'Since when it is no longer offered. Scenes that it plays in keep it.';
