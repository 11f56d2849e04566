-- What moderators can stop and forbid: scenes and guilds at rest, people who are not
-- heard, and the rules of places.

ALTER TABLE scene
    DROP CONSTRAINT scene_state_check,
    ADD CONSTRAINT scene_state_check CHECK (state IN ('active', 'paused', 'frozen', 'ended')),
    ADD COLUMN places text[] NOT NULL DEFAULT '{}',
    ADD COLUMN age_restricted boolean NOT NULL DEFAULT false;

COMMENT ON COLUMN scene.state IS 'active: turns are answered; paused: turns are kept, nobody answers; frozen: by a moderator, nothing is taken or changed; ended: over.';
COMMENT ON COLUMN scene.places IS 'The platform''s ids of the places around it whose policies hold here: the category, then the channel above a thread.';
COMMENT ON COLUMN scene.age_restricted IS 'Whether the platform last said that only adults come in.';

ALTER TABLE guild ADD COLUMN frozen_at timestamptz;

COMMENT ON COLUMN guild.frozen_at IS 'Since when a moderator has everything stopped; absent while scenes are played.';

ALTER TABLE person ADD COLUMN blocked_at timestamptz;

COMMENT ON COLUMN person.blocked_at IS 'Since when moderators have this person not heard; absent otherwise.';

CREATE TABLE policy (
    guild_id   bigint NOT NULL,
    place      text NOT NULL,
    body       jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT policy_pkey PRIMARY KEY (guild_id, place),
    CONSTRAINT policy_guild_fkey FOREIGN KEY (guild_id) REFERENCES guild (id)
);

COMMENT ON TABLE policy IS 'What is allowed in a place. Of all that hold in a scene the stricter word counts.';
COMMENT ON COLUMN policy.place IS 'The platform''s id of a category, channel or thread; empty for the whole guild.';
COMMENT ON COLUMN policy.body IS 'The rules, in the words of the moderation room.';
