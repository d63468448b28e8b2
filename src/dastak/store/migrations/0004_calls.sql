-- Calls: found again for their limits after a restart.

CREATE INDEX message_call ON message (verification) WHERE channel = 1;
