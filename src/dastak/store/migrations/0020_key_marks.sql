-- Which keys the codes of this database were made with: a mark of each, which says nothing else of it.
-- Programs that know 0019_node_queues run on this.

CREATE TABLE key_mark (key_id INTEGER PRIMARY KEY, mark BLOB NOT NULL) STRICT;
