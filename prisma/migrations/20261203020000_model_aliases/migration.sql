-- Names that a team gives to its models, such as gpt-4o-mini for clients whose code keeps OpenAI's names. The target is no foreign key: a
-- version that was deleted can be restored, and base models are not in the database.
CREATE TABLE model_aliases (
    team_id TEXT NOT NULL REFERENCES teams ON DELETE CASCADE ON UPDATE CASCADE,
    name TEXT NOT NULL,
    target TEXT NOT NULL,
    created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (team_id, name),
    CONSTRAINT model_aliases_name_length_check CHECK (length(name) <= 64),
    CONSTRAINT model_aliases_target_length_check CHECK (length(target) <= 512)
);
SELECT graft_fence('model_aliases');
