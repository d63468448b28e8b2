-- The statements of landing pages; see migrations/0008_landing.sql.

-- name: insert_page
INSERT INTO landing_page (tenant, slug, host, edition, live, record, draft) VALUES (?, ?, ?, ?, ?, ?, ?)
RETURNING n

-- name: update_page
UPDATE landing_page SET slug = ?, host = ?, edition = ?, live = ?, record = ?, draft = ? WHERE n = ? AND edition = ?

-- name: drop_page_host
UPDATE landing_page SET host = NULL, edition = edition + 1 WHERE n = ?

-- name: page_count
SELECT count(*) FROM landing_page WHERE tenant = ?

-- name: page_by_n
SELECT n, tenant, slug, host, edition, live, record, draft FROM landing_page WHERE n = ?

-- name: page_by_slug
SELECT n, tenant, slug, host, edition, live, record, draft FROM landing_page WHERE slug = ?

-- name: page_by_host
SELECT n, tenant, slug, host, edition, live, record, draft FROM landing_page WHERE host = ?

-- name: pages_of
SELECT n, tenant, slug, host, edition, live, record, draft FROM landing_page
WHERE (tenant = ?1 OR ?1 IS NULL) ORDER BY n DESC LIMIT ?2

-- name: newest_version
SELECT coalesce(max(version), 0) FROM landing_version WHERE page = ?

-- name: insert_version
INSERT INTO landing_version (page, version, at, author, reason, body) VALUES (?, ?, ?, ?, ?, ?)

-- name: page_version
SELECT page, version, at, author, reason, body FROM landing_version WHERE page = ? AND version = ?

-- name: page_versions
SELECT page, version, at, author, reason, body FROM landing_version WHERE page = ? ORDER BY version DESC LIMIT ?

-- name: image_count
SELECT count(*) FROM landing_image WHERE page = ? AND name <> ?

-- name: unused_images
SELECT i.name FROM landing_image AS i WHERE i.page = ?1
    AND NOT EXISTS (SELECT 1 FROM landing_page AS p WHERE p.n = ?1 AND instr(p.draft, i.name) > 0)
    AND NOT EXISTS (SELECT 1 FROM landing_version AS v WHERE v.page = ?1 AND instr(v.body, i.name) > 0)
    AND i.unsaved_at < ?2

-- name: images_saved
UPDATE landing_image SET unsaved_at = 0 WHERE page = ?1 AND unsaved_at > 0 AND instr(?2, name) > 0

-- name: delete_image
DELETE FROM landing_image WHERE page = ? AND name = ?

-- name: put_image
INSERT INTO landing_image (page, name, kind, width, height, octets, unsaved_at) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (page, name) DO UPDATE SET
    kind = excluded.kind, width = excluded.width, height = excluded.height, octets = excluded.octets,
    unsaved_at = excluded.unsaved_at

-- name: page_image
SELECT page, name, kind, width, height, octets FROM landing_image WHERE page = ? AND name = ?

-- name: count_visits
INSERT INTO landing_count (page, variant, language, step, visits) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (page, variant, language, step) DO UPDATE SET visits = landing_count.visits + excluded.visits

-- name: count_tried
INSERT INTO landing_experiment_count (page, experiment, variant, language, step, visits) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (page, experiment, variant, language, step)
DO UPDATE SET visits = landing_experiment_count.visits + excluded.visits

-- name: put_landing_visit
INSERT INTO landing_visit
    (token_digest, page, at, variant, language, experiment, verification, entered, lead, record)
VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, ?)
ON CONFLICT (token_digest) DO UPDATE SET
    verification = coalesce(excluded.verification, landing_visit.verification), record = excluded.record
WHERE landing_visit.lead = 0

-- name: landing_visit
SELECT token_digest, page, at, variant, language, experiment, verification, entered, lead, record
FROM landing_visit WHERE token_digest = ?

-- name: note_entered
UPDATE landing_visit SET entered = 1 WHERE token_digest = ?

-- name: lead_of_visit
UPDATE landing_visit SET lead = ?, entered = 1 WHERE token_digest = ?

-- name: insert_lead
INSERT INTO landing_lead
    (page, at, gone_at, variant, language, msisdn, verification, record, exchange, exchange_until)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
RETURNING n

-- name: queue_lead
INSERT INTO lead_delivery (verification, page, state, tries, due_at, error)
SELECT ?1, page, 'waiting', 0, ?2, '' FROM lead_hook WHERE page = ?3

-- name: lead_by_verification
SELECT n, page, at, gone_at, variant, language, msisdn, verification, record
FROM landing_lead WHERE verification = ?

-- name: lead_by_exchange
SELECT n, page, at, gone_at, variant, language, msisdn, verification, record
FROM landing_lead WHERE exchange = ? AND exchange_until > ?

-- name: use_exchange
UPDATE landing_lead SET exchange = NULL WHERE n = ?

-- name: leads
-- What was typed stands in the record before the consents, as JSON (?8). Its quotes are escaped there: nobody
-- types the mark that ends it, nor a name with its colon. Only where it may be found are values taken apart;
-- LIKE copies nothing, which is most of what a look at a million costs.
SELECT n, page, at, gone_at, variant, language, msisdn, verification, record FROM landing_lead
WHERE page = ?1 AND (language = ?2 OR ?2 IS NULL) AND (variant = ?3 OR ?3 IS NULL)
    AND (at >= ?4 OR ?4 IS NULL) AND (at < ?5 OR ?5 IS NULL)
    AND (?6 = '' OR ?7 <> '' AND instr('+' || msisdn, ?7) > 0
        OR record LIKE
                '%' || replace(replace(replace(?8, '!', '!!'), '%', '!%'), '_', '!_') || '%,"consents":[%' ESCAPE '!'
            AND replace(record, lower('"' || ?8 || '":'), '') LIKE
                '%' || replace(replace(replace(?8, '!', '!!'), '%', '!%'), '_', '!_') || '%,"consents":[%' ESCAPE '!'
            AND EXISTS (SELECT 1 FROM json_each(record, '$.values') AS typed
                WHERE instr(lower(typed.value), lower(?6)) > 0))
    AND n < ?9
ORDER BY n DESC LIMIT ?10

-- name: lead_count
SELECT count(*) FROM landing_lead WHERE page = ?

-- name: leads_after
SELECT max(n) FROM (SELECT n FROM landing_lead WHERE page = ?1 AND n > ?2 ORDER BY n LIMIT ?3) AS few

-- name: keep_leads
UPDATE landing_lead SET gone_at = at + ?2
WHERE n IN (SELECT n FROM landing_lead WHERE page = ?1 AND n > ?3 ORDER BY n LIMIT ?4) AND gone_at > at + ?2

-- name: delete_lead
DELETE FROM landing_lead WHERE page = ? AND n = ?

-- name: visits_counted
SELECT variant, language, step, visits FROM landing_count WHERE page = ?

-- name: tried_counted
SELECT variant, language, step, visits FROM landing_experiment_count WHERE page = ? AND experiment = ?

-- name: count_carried
INSERT INTO landing_route_count (page, route, step, visits) VALUES (?, ?, ?, ?)
ON CONFLICT (page, route, step) DO UPDATE SET visits = landing_route_count.visits + excluded.visits

-- name: carried_counted
SELECT route, step, visits FROM landing_route_count WHERE page = ?

-- name: open_carried
SELECT token_digest, approved, ordinal, route, trace, delivered FROM landing_carried WHERE page = ? ORDER BY at DESC LIMIT ?

-- name: carried_of_visit
SELECT token_digest, approved, ordinal, route, trace, delivered FROM landing_carried WHERE token_digest = ?

-- name: open_landing_visits
SELECT r.*, v.experiment FROM landing_reached AS r JOIN landing_visit AS v ON v.token_digest = r.token_digest
WHERE r.page = ? ORDER BY r.at DESC LIMIT ?

-- name: landing_visits_over
SELECT r.*, v.experiment FROM landing_reached AS r JOIN landing_visit AS v ON v.token_digest = r.token_digest
WHERE r.at < ? ORDER BY r.at LIMIT ?

-- name: delete_landing_visit
DELETE FROM landing_visit WHERE token_digest = ?

-- name: delete_old_leads
DELETE FROM landing_lead WHERE n IN (SELECT n FROM landing_lead WHERE gone_at <= ? LIMIT ?)
