-- What a guild's administrators set up for its channels.

CREATE TABLE channel_settings (
    guild_id      bigint NOT NULL,
    channel       text NOT NULL,
    opens         text NOT NULL,
    starter_roles text[] NOT NULL DEFAULT '{}',
    character_id  bigint,
    length        text,
    preset        text,
    updated_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT channel_settings_pkey PRIMARY KEY (guild_id, channel),
    CONSTRAINT channel_settings_guild_fkey FOREIGN KEY (guild_id) REFERENCES guild (id),
    CONSTRAINT channel_settings_character_fkey FOREIGN KEY (guild_id, character_id)
        REFERENCES character (guild_id, id),
    CONSTRAINT channel_settings_opens_check CHECK (opens IN ('never', 'command', 'post'))
);

COMMENT ON TABLE channel_settings IS 'What may happen in one channel, and with which defaults a scene starts there.';
COMMENT ON COLUMN channel_settings.channel IS 'The platform''s id of the channel or forum.';
COMMENT ON COLUMN channel_settings.opens IS 'How a scene starts here: never, by command, or by every new post.';
COMMENT ON COLUMN channel_settings.starter_roles IS 'The platform''s ids of the roles that may start one; empty means everybody.';
COMMENT ON COLUMN channel_settings.character_id IS 'Whom a scene starts with where nobody is named.';
