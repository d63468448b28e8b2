-- Who waits at each node for which carrier, and how fast they leave: JSON, as its last beat told.
-- Programs that know 0018_node_versions run on this.

ALTER TABLE node ADD COLUMN queues TEXT NOT NULL DEFAULT '';
