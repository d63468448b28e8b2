-- The statements of verifications and of who asks for them. Parameters are in the order of the columns.

-- name: held_by_id
SELECT * FROM held_by_mode WHERE substr(id, 1, 8) = substr(?1, 1, 8) AND id = ?1

-- name: held_by_message
SELECT held.*, ordinal, channel, m.generation, segments, m.state, tries, due_at, route, carrier_ref, tried, reserve
FROM held_by_mode AS held CROSS JOIN message AS m ON m.verification = held.n
WHERE substr(held.id, 1, 8) = substr(?1, 1, 8) AND held.id = ?1 AND m.ordinal = ?2

-- name: held_by_carrier
SELECT held.*, ordinal, channel, m.generation, segments, m.state, tries, due_at, route, carrier_ref, tried, reserve
FROM message AS m INDEXED BY message_carrier CROSS JOIN held_by_mode AS held ON held.n = m.verification
WHERE m.route = ?1 AND m.carrier_ref = ?2 AND m.state IN (1, 3)
ORDER BY m.verification DESC LIMIT 1

-- name: held_due
SELECT held.*, ordinal, channel, m.generation, segments, m.state, tries, due_at, route, carrier_ref, tried, reserve
FROM message AS m INDEXED BY message_due CROSS JOIN held_by_mode AS held ON held.n = m.verification
WHERE m.due_at <= ?1
ORDER BY m.due_at LIMIT ?2

-- name: pending_of_number
SELECT held.* FROM verification AS v INDEXED BY verification_number CROSS JOIN held_by_mode AS held ON held.n = v.n
WHERE v.tenant = ?1 AND v.msisdn = ?2 AND v.state = 0 AND v.service = ?3

-- name: expiring
SELECT held.* FROM verification AS v INDEXED BY verification_expiring CROSS JOIN held_by_mode AS held ON held.n = v.n
WHERE v.state = 0 AND v.expires_at <= ?1
ORDER BY v.expires_at LIMIT ?2

-- name: list_of_tenant
SELECT * FROM held_by_mode
WHERE tenant = ?1 AND (service = ?2 OR ?2 IS NULL) AND (state = ?3 OR ?3 IS NULL)
  AND (created_at >= ?4 OR ?4 IS NULL) AND (created_at < ?5 OR ?5 IS NULL) AND n < ?6
ORDER BY n DESC LIMIT ?7

-- name: list_of_number
SELECT held.* FROM verification AS v INDEXED BY verification_number CROSS JOIN held_by_mode AS held ON held.n = v.n
WHERE v.tenant = ?1 AND (v.service = ?2 OR ?2 IS NULL) AND (v.state = ?3 OR ?3 IS NULL)
  AND (v.created_at >= ?4 OR ?4 IS NULL) AND (v.created_at < ?5 OR ?5 IS NULL) AND v.n < ?6
  AND v.msisdn = ?8
ORDER BY v.n DESC LIMIT ?7

-- name: timelines
SELECT -1, timeline FROM verification WHERE substr(id, 1, 8) = substr(?2, 1, 8) AND id = ?2 AND tenant = ?1
UNION ALL
SELECT ordinal, rtrim(trace, ' ') FROM message
WHERE verification = (
    SELECT n FROM verification WHERE substr(id, 1, 8) = substr(?2, 1, 8) AND id = ?2 AND tenant = ?1
)
ORDER BY 1

-- name: insert_verification
INSERT INTO verification (
    id, tenant, service, mode, msisdn, state, policy, key_id, created_at, expires_at, last_sent_at,
    attempts, generation, sends, own_code_digest, own_code_sealed, particulars, timeline
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: keep_verification
-- It stays pending: its indexes are left alone.
UPDATE verification
SET last_sent_at = ?1, attempts = ?2, generation = ?3, sends = ?4, fallbacks = ?5, own_code_digest = ?6,
    own_code_sealed = ?7, particulars = ?8,
    timeline = CASE WHEN length(timeline) < ?9 THEN timeline || ?10 ELSE timeline END
WHERE n = ?11

-- name: end_verification
UPDATE verification
SET state = ?1, attempts = ?2, own_code_digest = ?3, own_code_sealed = ?4, timeline = timeline || ?5
WHERE n = ?6

-- name: insert_message
INSERT INTO message (
    verification, ordinal, channel, generation, segments, state, tries, due_at, route, carrier_ref, tried, reserve,
    trace
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: update_message
UPDATE message
SET state = ?1, tries = ?2, due_at = ?3, route = ?4, carrier_ref = ?5, tried = ?6,
    trace = CASE WHEN length(trace) < ?7 THEN rtrim(trace, ' ') || ?8 ELSE trace END, reserve = ?9
WHERE verification = ?10 AND ordinal = ?11

-- name: lease_message
UPDATE message SET due_at = ?1 WHERE verification = ?2 AND ordinal = ?3

-- name: queued_messages
SELECT verification, ordinal, due_at FROM message WHERE state = 0

-- name: resume_message
-- They are taken in the order of when they became due, so the earliest expiry became it first: for each second that
-- a code lives less than ?2, which is the longest, a millisecond before now.
UPDATE message
SET due_at = min(?1, ?1 - coalesce((SELECT ?2 - expires_at + ?1 FROM verification WHERE n = ?5), 0) / 1000),
    trace = CASE WHEN length(trace) < ?3 THEN rtrim(trace, ' ') || ?4 ELSE trace END
WHERE verification = ?5 AND ordinal = ?6

-- name: insert_policy
INSERT INTO policy (body) VALUES (?1) ON CONFLICT DO NOTHING

-- name: policy_number
SELECT n FROM policy WHERE body = ?1

-- name: put_tally
INSERT INTO tally (tenant, msisdn, wrong, last_at_s) VALUES (?, ?, ?, ?)
ON CONFLICT (tenant, msisdn) DO UPDATE SET wrong = excluded.wrong, last_at_s = excluded.last_at_s

-- name: delete_tally
DELETE FROM tally WHERE tenant = ?1 AND msisdn = ?2

-- name: spend
-- No row changes when the sum would pass the cap.
INSERT INTO spend (tenant, day, micros) SELECT ?1, ?2, ?3 WHERE ?3 <= ?4
ON CONFLICT (tenant, day) DO UPDATE SET micros = spend.micros + excluded.micros
WHERE spend.micros + excluded.micros <= ?4

-- name: correct_spend
UPDATE spend SET micros = micros + ?3 WHERE tenant = ?1 AND day = ?2

-- name: account
SELECT micros FROM spend_account WHERE name = ?1 AND day = ?2

-- name: charge_account
INSERT INTO spend_account (name, day, micros) VALUES (?, ?, ?)
ON CONFLICT (name, day) DO UPDATE SET micros = spend_account.micros + excluded.micros

-- name: delete_accounts
DELETE FROM spend_account WHERE day < ?1

-- name: kept_answer
SELECT fingerprint, answer FROM idempotency WHERE key = ?1

-- name: keep_answer
INSERT INTO idempotency (key, fingerprint, answer, since) VALUES (?, ?, ?, ?)

-- name: old_verifications
-- Rows are in order of creation, so the oldest are looked at and nothing else.
SELECT n FROM (SELECT n, created_at, state FROM verification ORDER BY n LIMIT ?2) AS oldest
WHERE created_at < ?1 AND state <> 0

-- name: delete_verification
DELETE FROM verification WHERE n = ?1

-- name: delete_messages
DELETE FROM message WHERE verification = ?1

-- name: delete_answers
DELETE FROM idempotency WHERE key IN (SELECT key FROM idempotency WHERE since < ?1 ORDER BY since LIMIT ?2)

-- name: delete_tallies
-- A number locked for good stays so until somebody unlocks it.
DELETE FROM tally WHERE (tenant, msisdn) IN (
    SELECT tenant, msisdn FROM tally
    WHERE last_at_s < ?1 AND wrong ->> 0 < ?2 ORDER BY last_at_s LIMIT ?3
)

-- name: newest_sends
SELECT n, created_at, mode, tenant, msisdn, sends, created_at, last_sent_at, particulars FROM verification
WHERE n < ?1 ORDER BY n DESC LIMIT ?2

-- name: sends_to
SELECT mode, tenant, msisdn, sends, created_at, last_sent_at, particulars FROM verification INDEXED BY verification_number
WHERE msisdn = ?1 AND (created_at >= ?2 OR last_sent_at >= ?2)

-- name: calls_to
SELECT v.created_at, v.mode, v.msisdn, rtrim(m.trace, ' '), v.id, m.ordinal
FROM verification AS v INDEXED BY verification_number CROSS JOIN message AS m ON m.verification = v.n AND m.channel = 1
WHERE v.msisdn = ?1 AND v.created_at >= ?2

-- name: calls_since
-- Rows are in order of creation: no call is read that is older than the newest of those that are too old.
SELECT v.created_at, v.mode, v.msisdn, rtrim(m.trace, ' ')
FROM message AS m INDEXED BY message_call CROSS JOIN verification AS v ON v.n = m.verification
WHERE m.channel = 1 AND m.verification > coalesce((
    SELECT old.n FROM message AS c INDEXED BY message_call CROSS JOIN verification AS old ON old.n = c.verification
    WHERE c.channel = 1 AND old.created_at < ?1 ORDER BY c.verification DESC LIMIT 1
), 0)
ORDER BY m.verification DESC

-- name: newest_texts
-- Those to the carrier in the box (mode 0) and calls are left out.
SELECT v.created_at, v.tenant, v.msisdn, m.segments, rtrim(m.trace, ' ')
FROM verification AS v CROSS JOIN message AS m ON m.verification = v.n
WHERE v.mode <> 0 AND m.channel = 0 ORDER BY v.n DESC LIMIT ?1

-- name: dead_letters
-- Nobody keeps a list of them: the newest ?1 verifications are looked through.
SELECT v.tenant, v.id, m.ordinal, rtrim(m.trace, ' ')
FROM (SELECT n, tenant, id FROM verification ORDER BY n DESC LIMIT ?1) AS v
JOIN message AS m ON m.verification = v.n
WHERE m.trace LIKE '%["dropped",%,"broken",%'
ORDER BY v.n DESC, m.ordinal LIMIT ?2

-- name: newest_instant
SELECT max(
    coalesce((SELECT created_at FROM verification ORDER BY n DESC LIMIT 1), 0),
    coalesce((SELECT max(last_at_s) * 1000 FROM tally), 0)
)

-- name: tenants
SELECT n, record FROM tenant ORDER BY n

-- name: services
SELECT n, record FROM service ORDER BY n

-- name: api_keys
SELECT record FROM api_key ORDER BY id

-- name: key_marks
SELECT key_id, mark FROM key_mark ORDER BY key_id

-- name: note_key_mark
INSERT INTO key_mark (key_id, mark) VALUES (?, ?) ON CONFLICT DO NOTHING

-- name: forget_key_marks
DELETE FROM key_mark

-- name: insert_tenant
INSERT INTO tenant (name, record) VALUES (?, ?) RETURNING n

-- name: put_tenant
INSERT INTO tenant (n, name, record) VALUES (?, ?, ?)
ON CONFLICT (n) DO UPDATE SET name = excluded.name, record = excluded.record
RETURNING n

-- name: insert_service
INSERT INTO service (tenant, name, record) VALUES (?, ?, ?) RETURNING n

-- name: put_service
INSERT INTO service (n, tenant, name, record) VALUES (?, ?, ?, ?)
ON CONFLICT (n) DO UPDATE SET name = excluded.name, record = excluded.record
RETURNING n

-- name: put_key
INSERT INTO api_key (id, record) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET record = excluded.record

-- name: tenancy_revision
SELECT value FROM meta WHERE name = 'tenancy_revision'

-- name: raise_tenancy_revision
UPDATE meta SET value = value + 1 WHERE name = 'tenancy_revision'

-- name: void_verifications
UPDATE verification
SET state = ?1, own_code_digest = NULL, own_code_sealed = NULL, timeline = timeline || ?2
WHERE state = 0

-- name: raise_epoch
UPDATE meta SET value = value + 1 WHERE name = 'epoch'

-- name: carriers
SELECT n, record, sealed FROM carrier ORDER BY n

-- name: carrier_revision
SELECT value FROM meta WHERE name = 'carrier_revision'

-- name: raise_carrier_revision
UPDATE meta SET value = value + 1 WHERE name = 'carrier_revision'

-- name: insert_carrier
INSERT INTO carrier (name, record, sealed) VALUES (?, ?, ?) RETURNING n

-- name: update_carrier
UPDATE carrier SET record = ?1, sealed = ?2 WHERE n = ?3 AND record ->> 'revision' = ?4

-- name: delete_carrier
DELETE FROM carrier WHERE name = ?1

-- name: insert_carrier_change
INSERT INTO carrier_change (carrier, record) VALUES (?, ?)

-- name: carrier_changes
SELECT record FROM carrier_change WHERE carrier = ?1 ORDER BY n DESC LIMIT ?2

-- name: learned
SELECT body FROM learned WHERE name = ?1

-- name: learn
INSERT INTO learned (name, body) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET body = excluded.body

-- name: dlt_revision
SELECT coalesce(sum(revision), 0) FROM dlt_register

-- name: dlt_records
SELECT tenant, record, revision FROM dlt_register

-- name: insert_dlt_record
INSERT INTO dlt_register (tenant, record, revision) VALUES (?1, ?2, ?3 + 1) ON CONFLICT DO NOTHING

-- name: update_dlt_record
UPDATE dlt_register SET record = ?2, revision = revision + 1 WHERE tenant = ?1 AND revision = ?3

-- name: newest_of_number
-- Of all tenants, by the index that begins with the number: that of all verifications must not seem to help.
SELECT held.* FROM (
    SELECT v.n FROM verification AS v INDEXED BY verification_number
    WHERE v.msisdn = ?1 AND (v.state = ?2 OR ?2 IS NULL)
    ORDER BY v.n + 0 DESC LIMIT ?3
) AS newest CROSS JOIN held_by_mode AS held ON held.n = newest.n
ORDER BY held.n DESC

-- name: traces
SELECT state, rtrim(trace, ' ') FROM message WHERE verification = ?1

-- name: known_reply
-- The same words a moment ago, and no wish since.
SELECT 1 FROM reply AS r INDEXED BY reply_of_number
WHERE r.msisdn = ?1 AND r.digest = ?2 AND r.at > ?3 AND NOT EXISTS (
    SELECT 1 FROM reply AS later INDEXED BY reply_of_number
    WHERE later.msisdn = ?1 AND later.n > r.n AND later.record ->> 'kind' IN ('stop', 'start')
)

-- name: insert_reply
INSERT INTO reply (tenant, msisdn, at, record, digest) VALUES (?, ?, ?, ?, ?)

-- name: delete_replies_over
DELETE FROM reply WHERE msisdn = ?1 AND n <= (
    SELECT n FROM reply WHERE msisdn = ?1 ORDER BY n DESC LIMIT 1 OFFSET ?2
)

-- name: delete_old_replies
DELETE FROM reply WHERE n IN (SELECT n FROM (SELECT n, at FROM reply ORDER BY n LIMIT ?2) AS oldest WHERE at < ?1)

-- name: tell_verification
UPDATE verification
SET timeline = CASE WHEN length(timeline) < ?1 THEN timeline || ?2 ELSE timeline END
WHERE substr(id, 1, 8) = substr(?3, 1, 8) AND id = ?3

-- name: replies_of
SELECT n, tenant, msisdn, at, record FROM reply WHERE tenant = ?1 AND n < ?2 ORDER BY n DESC LIMIT ?3

-- name: insert_stop
INSERT INTO stopped (tenant, msisdn, test, since) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING

-- name: delete_stop
DELETE FROM stopped WHERE tenant = ?1 AND msisdn = ?2 AND test = ?3

-- name: delete_stops
DELETE FROM stopped WHERE tenant = ?1 AND msisdn = ?2

-- name: all_stops
SELECT tenant, msisdn, test FROM stopped LIMIT ?1

-- name: is_stopped
SELECT 1 FROM stopped WHERE tenant = ?1 AND msisdn = ?2 AND test = ?3

-- name: stops_of
SELECT n, tenant, msisdn, test, since FROM stopped WHERE tenant = ?1 AND n < ?2 ORDER BY n DESC LIMIT ?3

-- name: insert_factor
INSERT INTO factor (id, tenant, mode, msisdn, state, chain_seed, sealed, record)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)

-- name: keep_factor
UPDATE factor SET state = ?2, sealed = ?3, record = ?4 WHERE id = ?1

-- name: factor_by_id
SELECT id, tenant, mode, msisdn, state, sealed, record FROM factor WHERE id = ?1

-- name: factor_to_move
SELECT id, tenant, mode, msisdn, state, sealed, record FROM factor WHERE id = ?1

-- name: factors_of
SELECT id, tenant, mode, msisdn, state, sealed, record FROM factor
WHERE tenant = ?1 AND msisdn = ?2 AND mode = ?3 AND state <> 2
ORDER BY n DESC LIMIT ?4

-- name: has_chain_seed
SELECT 1 FROM factor WHERE tenant = ?1 AND msisdn = ?2 AND mode = ?3 AND chain_seed = ?4

-- name: insert_report
INSERT INTO call_report (tenant, verification, mode, msisdn, at) VALUES (?, ?, ?, ?, ?)

-- name: reports_of
SELECT n, tenant, verification, mode, msisdn, at FROM call_report WHERE tenant = ?1 AND n < ?2 ORDER BY n DESC LIMIT ?3

-- name: reports_since
SELECT n, tenant, verification, mode, msisdn, at FROM call_report WHERE at >= ?1 ORDER BY at

-- name: delete_reports
DELETE FROM call_report WHERE n IN (SELECT n FROM call_report WHERE at < ?1 ORDER BY at LIMIT ?2)

-- name: insert_code_page
INSERT INTO code_page (token_digest, tenant, made_for, asks_for, number_changes, expires_at, record)
VALUES (?, ?, ?, ?, ?, ?, ?)

-- name: delete_code_page_of
DELETE FROM code_page WHERE made_for = ?1

-- name: delete_code_pages_over
DELETE FROM code_page WHERE n IN (SELECT n FROM code_page WHERE expires_at < ?1 LIMIT ?2)

-- name: code_page_by_token
SELECT token_digest, tenant, made_for, asks_for, browser, number_changes, expires_at, finished_at, record
FROM code_page WHERE token_digest = ?1

-- name: code_page_for
SELECT token_digest, tenant, made_for, asks_for, browser, number_changes, expires_at, finished_at, record
FROM code_page WHERE made_for = ?1

-- name: claim_code_page
UPDATE code_page SET browser = ?2 WHERE token_digest = ?1 AND browser IS NULL

-- name: turn_code_page
UPDATE code_page SET asks_for = ?3 WHERE token_digest = ?1 AND asks_for = ?2

-- name: count_number_change
UPDATE code_page SET number_changes = number_changes + 1 WHERE token_digest = ?1 AND number_changes < ?2

-- name: finish_code_page
UPDATE code_page SET finished_at = ?2 WHERE token_digest = ?1 AND finished_at IS NULL
