-- Webhooks of landing pages, and which leads they were told.

CREATE TABLE lead_hook (
    page INTEGER PRIMARY KEY,
    url TEXT NOT NULL,
    secret BLOB NOT NULL,   -- sealed
    off INTEGER NOT NULL    -- 1: its server said that the address is gone
) STRICT;
-- The body is made of the lead each time, so that nothing of a person is here.
CREATE TABLE lead_delivery (
    verification BLOB PRIMARY KEY,
    page INTEGER NOT NULL,
    state TEXT NOT NULL,
    tries INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    error TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX lead_delivery_due ON lead_delivery (due_at) WHERE state = 'waiting';
CREATE INDEX lead_delivery_page ON lead_delivery (page, state);
-- A lead that is forgotten is told to nobody any more.
CREATE TRIGGER lead_delivery_gone AFTER DELETE ON landing_lead BEGIN
    DELETE FROM lead_delivery WHERE verification = OLD.verification;
END;
