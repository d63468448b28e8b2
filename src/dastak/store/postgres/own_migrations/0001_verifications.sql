-- Rows that are changed soon after they were written find room for it beside themselves.
ALTER TABLE verification SET (fillfactor = 80);
ALTER TABLE message SET (fillfactor = 60);
-- What is deleted and written again all day is cleaned before it is a fifth of the table.
ALTER TABLE verification SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE message SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
