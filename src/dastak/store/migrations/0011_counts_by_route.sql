-- How far visits of landing pages came by each route, so that a carrier that loses codes is seen.

CREATE TABLE landing_route_count (
    page INTEGER NOT NULL,
    route TEXT NOT NULL,
    step TEXT NOT NULL,
    visits INTEGER NOT NULL,
    PRIMARY KEY (page, route, step)
) STRICT, WITHOUT ROWID;
-- The messages that routes took for the visits that are still there. Of one that was delivered only its trace knows
-- the route.
CREATE VIEW landing_carried AS
SELECT v.token_digest, v.page, v.at, v.lead > 0 AS approved, m.ordinal, m.route,
    CASE WHEN m.route IS NULL THEN m.trace END AS trace, m.state = 2 AS delivered
FROM landing_visit AS v
JOIN verification AS q ON substr(q.id, 1, 8) = substr(v.verification, 1, 8) AND q.id = v.verification
JOIN message AS m ON m.verification = q.n
WHERE m.state IN (1, 2, 3);
