-- How often the rules of a guild are met, by day.

CREATE TABLE rule_hit (
    guild_id bigint NOT NULL,
    day      date NOT NULL,
    rule     text NOT NULL,
    verdict  text NOT NULL,
    dry_run  boolean NOT NULL,
    texts    bigint NOT NULL,
    CONSTRAINT rule_hit_pkey PRIMARY KEY (guild_id, day, rule, verdict, dry_run),
    CONSTRAINT rule_hit_guild_fkey FOREIGN KEY (guild_id) REFERENCES guild (id),
    CONSTRAINT rule_hit_texts_check CHECK (texts > 0)
);

COMMENT ON TABLE rule_hit IS 'In how many texts a rule was met. Nothing tells whose they were or what they said.';
COMMENT ON COLUMN rule_hit.day IS 'By UTC.';
COMMENT ON COLUMN rule_hit.rule IS 'The rule, by the name that reports use.';
COMMENT ON COLUMN rule_hit.verdict IS 'What the rule asked for where it was met.';
COMMENT ON COLUMN rule_hit.dry_run IS 'Whether nothing followed, because the rule only counts.';

SELECT hold_by_guild('rule_hit');
