-- One roleplay in one place: its settings, its cast, its people.

CREATE TABLE scene (
    guild_id               bigint NOT NULL,
    id                     bigint GENERATED ALWAYS AS IDENTITY,
    channel                text NOT NULL,
    title                  text NOT NULL,
    scenario               text NOT NULL,
    note                   jsonb,
    length                 text,
    preset                 text NOT NULL,
    head_turn_id           bigint,
    anchor_turn_id         bigint,
    state                  text NOT NULL DEFAULT 'active',
    branched_from_scene_id bigint,
    branched_from_turn_id  bigint,
    created_at             timestamptz NOT NULL DEFAULT now(),
    updated_at             timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT scene_pkey PRIMARY KEY (guild_id, id),
    CONSTRAINT scene_guild_fkey FOREIGN KEY (guild_id) REFERENCES guild (id),
    CONSTRAINT scene_state_check CHECK (state IN ('active', 'paused', 'ended'))
);

CREATE UNIQUE INDEX scene_channel_key ON scene (guild_id, channel) WHERE state <> 'ended';

COMMENT ON TABLE scene IS 'One roleplay in one channel, thread or forum post.';
COMMENT ON COLUMN scene.channel IS 'The platform''s id of the place it is played in; one scene at a time, ended ones aside.';
COMMENT ON COLUMN scene.note IS 'The author''s note: {text, depth}.';
COMMENT ON COLUMN scene.length IS 'The chosen length tag; absent leaves it to the model.';
COMMENT ON COLUMN scene.preset IS 'The name of its sampling preset.';
COMMENT ON COLUMN scene.head_turn_id IS 'The newest turn of the line being played.';
COMMENT ON COLUMN scene.anchor_turn_id IS 'The oldest turn that the last prompt kept, where trimming has begun.';
COMMENT ON COLUMN scene.branched_from_scene_id IS 'The scene whose line this one began with a copy of.';
COMMENT ON COLUMN scene.branched_from_turn_id IS 'The turn of that scene at which it branched off.';

CREATE TABLE cast_member (
    guild_id     bigint NOT NULL,
    scene_id     bigint NOT NULL,
    character_id bigint NOT NULL,
    length       text,
    joined_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT cast_member_pkey PRIMARY KEY (guild_id, scene_id, character_id),
    CONSTRAINT cast_member_scene_fkey FOREIGN KEY (guild_id, scene_id) REFERENCES scene (guild_id, id),
    CONSTRAINT cast_member_character_fkey FOREIGN KEY (guild_id, character_id) REFERENCES character (guild_id, id)
);

COMMENT ON TABLE cast_member IS 'A character in a scene.';
COMMENT ON COLUMN cast_member.length IS 'Its own length tag in this scene, if any.';
COMMENT ON COLUMN cast_member.joined_at IS 'The cast is listed in the order of joining.';

CREATE TABLE participant (
    guild_id   bigint NOT NULL,
    scene_id   bigint NOT NULL,
    person_id  bigint NOT NULL,
    persona_id bigint,
    joined_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT participant_pkey PRIMARY KEY (guild_id, scene_id, person_id),
    CONSTRAINT participant_scene_fkey FOREIGN KEY (guild_id, scene_id) REFERENCES scene (guild_id, id),
    CONSTRAINT participant_person_fkey FOREIGN KEY (guild_id, person_id) REFERENCES person (guild_id, id),
    CONSTRAINT participant_persona_fkey FOREIGN KEY (guild_id, person_id, persona_id)
        REFERENCES persona (guild_id, person_id, id)
);

COMMENT ON TABLE participant IS 'A person in a scene.';
COMMENT ON COLUMN participant.persona_id IS 'Whom they play here; absent falls back to their persona in the guild.';
