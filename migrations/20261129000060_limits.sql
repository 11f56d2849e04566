-- What people said and asked for within the last hour, for the limits of policies.

CREATE INDEX turn_person_idx ON turn (guild_id, person_id, created_at)
    WHERE person_id IS NOT NULL;
CREATE INDEX job_person_idx ON job (guild_id, person_id, created_at)
    WHERE work ->> 'kind' <> 'show';
CREATE INDEX job_guild_idx ON job (guild_id, created_at)
    WHERE work ->> 'kind' <> 'show';
