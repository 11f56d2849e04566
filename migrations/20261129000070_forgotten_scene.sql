-- Scenes of which something was deleted: whoever caches texts forgets them. The rows outlive
-- scenes and guilds, since a process may come back later with what it cached, and hold nothing
-- but a number.

CREATE TABLE forgotten_scene (
    scene_id bigint NOT NULL,
    transaction xid8 NOT NULL DEFAULT pg_current_xact_id(),
    forgotten_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON COLUMN forgotten_scene.transaction IS 'Which transaction deleted it: readers go on from the oldest that was not at its end.';

CREATE INDEX forgotten_scene_idx ON forgotten_scene (transaction);

-- Written within a guild, read by the service alone.
GRANT INSERT ON forgotten_scene TO dramatis_guild;
