-- Lines and veils: what never happens in a scene, and what happens out of sight alone.

CREATE TABLE boundary (
    guild_id   bigint NOT NULL,
    id         bigint GENERATED ALWAYS AS IDENTITY,
    person_id  bigint,
    scene_id   bigint,
    kind       text NOT NULL,
    text       text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT boundary_pkey PRIMARY KEY (guild_id, id),
    CONSTRAINT boundary_person_fkey FOREIGN KEY (guild_id, person_id)
        REFERENCES person (guild_id, id) ON DELETE CASCADE,
    CONSTRAINT boundary_scene_fkey FOREIGN KEY (guild_id, scene_id)
        REFERENCES scene (guild_id, id) ON DELETE CASCADE,
    CONSTRAINT boundary_of_check CHECK (num_nonnulls(person_id, scene_id) = 1),
    CONSTRAINT boundary_kind_check CHECK (kind IN ('line', 'veil'))
);

CREATE INDEX boundary_person_idx ON boundary (guild_id, person_id);
CREATE INDEX boundary_scene_idx ON boundary (guild_id, scene_id);

COMMENT ON TABLE boundary IS 'Lines and veils. A person''s hold in every scene in which they take part and are heard; a scene''s hold in it.';
COMMENT ON COLUMN boundary.kind IS 'A line never happens; a veil happens out of sight alone.';

SELECT hold_by_guild('boundary');
