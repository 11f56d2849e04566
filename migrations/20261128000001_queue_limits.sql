-- How many replies wait, counted without looking at those that do not, and how long
-- replies took of late.

ALTER TABLE job ADD COLUMN resting boolean NOT NULL DEFAULT false;

UPDATE job SET resting = true
FROM lane JOIN guild ON guild.id = lane.guild_id
WHERE lane.guild_id = job.guild_id AND lane.scene_id = job.scene_id
  AND job.state IN ('queued', 'claimed', 'generated', 'sending')
  AND (lane.paused OR guild.left_at IS NOT NULL);

CREATE INDEX job_waiting_idx ON job (guild_id, person_id)
    WHERE state = 'queued' AND work ->> 'kind' <> 'show' AND NOT resting;
CREATE INDEX job_sent_idx ON job (finished_at)
    WHERE state = 'sent' AND work ->> 'kind' <> 'show';

COMMENT ON COLUMN job.resting IS 'Unfinished, and nobody can begin it: its scene is paused or over, or we left its guild. Kept up to date by whoever changes these, so that limits are counted in one index.';
COMMENT ON INDEX job_waiting_idx IS 'Replies that wait for somebody to begin them: the limits of the queue are counted in it, each no further than to its limit.';
COMMENT ON INDEX job_sent_idx IS 'Replies that came to their end, by when: the latest tell how long one takes.';
