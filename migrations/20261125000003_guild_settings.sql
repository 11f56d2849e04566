-- What a guild is set up for as a whole.

ALTER TABLE guild ADD COLUMN left_at timestamptz;

COMMENT ON COLUMN guild.left_at IS 'Since when we are no member of it; its lanes wait until we return.';

CREATE TABLE guild_settings (
    guild_id        bigint NOT NULL,
    moderator_roles text[] NOT NULL DEFAULT '{}',
    reports_channel text,
    locale          text,
    commands_hash   text,
    updated_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT guild_settings_pkey PRIMARY KEY (guild_id),
    CONSTRAINT guild_settings_guild_fkey FOREIGN KEY (guild_id) REFERENCES guild (id)
);

COMMENT ON TABLE guild_settings IS 'What a guild''s administrators set up for all of it.';
COMMENT ON COLUMN guild_settings.moderator_roles IS 'The platform''s ids of the roles that may moderate scenes besides administrators.';
COMMENT ON COLUMN guild_settings.reports_channel IS 'The platform''s id of the place where reports are announced.';
COMMENT ON COLUMN guild_settings.locale IS 'The language of notices to everybody; absent takes the platform''s.';
COMMENT ON COLUMN guild_settings.commands_hash IS 'Digest of the commands that the platform was told last, so that it is told again only after a change.';

ALTER TABLE channel_settings
    DROP CONSTRAINT channel_settings_opens_check,
    ADD CONSTRAINT channel_settings_opens_check
        CHECK (opens IN ('never', 'command', 'post', 'channel'));

COMMENT ON COLUMN channel_settings.opens IS 'How a scene starts here: never, by command in a thread, by every new post, or by command in the channel itself.';

-- A person's scenes and personas are asked for by the person.
CREATE INDEX participant_person_idx ON participant (guild_id, person_id);
