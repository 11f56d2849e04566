-- The prompts that replies were made from, so that each can be made again.

CREATE TABLE reply_prompt (
    guild_id  bigint NOT NULL,
    turn_id   bigint NOT NULL,
    swipe_id  bigint NOT NULL,
    token_ids integer[] NOT NULL,
    CONSTRAINT reply_prompt_pkey PRIMARY KEY (guild_id, turn_id, swipe_id),
    CONSTRAINT reply_prompt_swipe_fkey FOREIGN KEY (guild_id, turn_id, swipe_id)
        REFERENCES swipe (guild_id, turn_id, id) ON DELETE CASCADE
);

COMMENT ON TABLE reply_prompt IS 'What the model saw when it wrote a swipe. Apart from the swipe, because few ask for it and it is large.';
COMMENT ON COLUMN reply_prompt.token_ids IS 'The prompt as token ids of the model that the swipe''s receipt names.';
