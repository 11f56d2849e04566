-- What a character's file holds besides its sheet: pictures and other assets, and lore.

-- The card has a column of its own and is no part of the sheet any more.
UPDATE character SET sheet = sheet - 'card' WHERE sheet ? 'card';

CREATE TABLE asset (
    guild_id   bigint NOT NULL,
    sha256     bytea NOT NULL,
    bytes      bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT asset_pkey PRIMARY KEY (guild_id, sha256),
    CONSTRAINT asset_guild_fkey FOREIGN KEY (guild_id) REFERENCES guild (id),
    CONSTRAINT asset_sha256_check CHECK (length(sha256) = 32)
);

COMMENT ON TABLE asset IS 'The bytes of a picture or another file, as one guild keeps it; once, whoever uses it.';
COMMENT ON COLUMN asset.sha256 IS 'The SHA-256 of the bytes.';

CREATE TABLE character_asset (
    guild_id     bigint NOT NULL,
    character_id bigint NOT NULL,
    ordinal      integer NOT NULL,
    kind         text NOT NULL,
    name         text NOT NULL,
    ext          text NOT NULL,
    uri          text NOT NULL,
    sha256       bytea NOT NULL,
    CONSTRAINT character_asset_pkey PRIMARY KEY (guild_id, character_id, ordinal),
    CONSTRAINT character_asset_character_fkey FOREIGN KEY (guild_id, character_id)
        REFERENCES character (guild_id, id) ON DELETE CASCADE,
    CONSTRAINT character_asset_asset_fkey FOREIGN KEY (guild_id, sha256)
        REFERENCES asset (guild_id, sha256)
);

CREATE INDEX character_asset_sha256_idx ON character_asset (guild_id, sha256);

COMMENT ON TABLE character_asset IS 'A file that came with a character, or was made its picture.';
COMMENT ON COLUMN character_asset.ordinal IS 'Its place among the character''s files, from 0.';
COMMENT ON COLUMN character_asset.kind IS 'What it is, by the card specification: icon, emotion, background, …; `card picture` is the image that the card was written into.';
COMMENT ON COLUMN character_asset.name IS 'Its name: `main` for the usual icon, the emotion for an emotion.';
COMMENT ON COLUMN character_asset.ext IS 'Its extension, lower case, without a dot.';
COMMENT ON COLUMN character_asset.uri IS 'Where the card says it is; empty where the card does not speak of it.';

ALTER TABLE character ADD COLUMN picture text;

COMMENT ON COLUMN character.picture IS 'The name of the file by which it is seen; absent is its usual picture.';

CREATE TABLE character_lorebook (
    guild_id     bigint NOT NULL,
    character_id bigint NOT NULL,
    lorebook_id  bigint NOT NULL,
    embedded     boolean NOT NULL,
    active       boolean NOT NULL DEFAULT true,
    joined_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT character_lorebook_pkey PRIMARY KEY (guild_id, character_id, lorebook_id),
    CONSTRAINT character_lorebook_character_fkey FOREIGN KEY (guild_id, character_id)
        REFERENCES character (guild_id, id) ON DELETE CASCADE,
    CONSTRAINT character_lorebook_lorebook_fkey FOREIGN KEY (guild_id, lorebook_id)
        REFERENCES lorebook (guild_id, id) ON DELETE CASCADE
);

CREATE UNIQUE INDEX character_lorebook_embedded_key ON character_lorebook (guild_id, character_id)
    WHERE embedded;

COMMENT ON TABLE character_lorebook IS 'Which lorebooks go with a character into every scene.';
COMMENT ON COLUMN character_lorebook.embedded IS 'It came in the character''s card and goes out with it.';
COMMENT ON COLUMN character_lorebook.active IS 'Whether it is told where the character plays.';

ALTER TABLE lorebook
    ADD COLUMN everywhere boolean NOT NULL DEFAULT false,
    ADD COLUMN revision   bigint NOT NULL DEFAULT 1;

COMMENT ON COLUMN lorebook.body IS 'The book as its file spells it, whole; json, not jsonb, so that nothing of it is respelled.';
COMMENT ON COLUMN lorebook.everywhere IS 'Every scene of the guild uses it.';
COMMENT ON COLUMN lorebook.revision IS 'Goes up with every change, so that what was compiled of it is known to be old.';

ALTER TABLE scene ADD COLUMN lore_effects jsonb;

COMMENT ON COLUMN scene.lore_effects IS 'Which lore sticks or rests, and until which turn.';
