-- What PostgreSQL is told in words of its own. A name that the other .sql files have as well takes its place here.
-- The first part works in sets: $1 is a JSON list with one object for each thing of a batch, octets in base64.

-- name: lock_numbers
-- Takes the locks of a batch in order, so that no two batches wait for each other: those of the numbers that
-- its ids and carrier references are about, and those that it knows already. A number is one place for all
-- tenants: what it was sent is counted over all of them. What is committed while it waits was not seen here and
-- is not locked, though the next statement sees it: so it says what it has locked.
WITH asked AS (SELECT decode(id, 'base64') AS id, route, ref FROM jsonb_to_recordset($1) AS a(id text, route text, ref text)),
about AS (
    SELECT v.msisdn FROM asked
    JOIN verification AS v ON substr(v.id, 1, 8) = substr(asked.id, 1, 8) AND v.id = asked.id
    UNION ALL
    SELECT v.msisdn FROM asked
    JOIN message AS m ON m.route = asked.route AND m.carrier_ref = asked.ref AND m.state IN (1, 3)
    JOIN verification AS v ON v.n = m.verification
)
SELECT place, pg_advisory_xact_lock(place) FROM (
    SELECT msisdn AS place FROM about
    UNION SELECT value::bigint FROM jsonb_array_elements_text($2)
    ORDER BY place
) AS places

-- name: held_by_ids
SELECT k.i, held.* FROM jsonb_to_recordset($1) AS k(i int, id text)
JOIN held_by_mode AS held ON substr(held.id, 1, 8) = substr(decode(k.id, 'base64'), 1, 8) AND held.id = decode(k.id, 'base64')

-- name: held_by_messages
-- Locked, so that no other node takes a message between what is decided about it and its commit.
SELECT k.i, held.*, m.ordinal, channel, m.generation, segments, m.state, tries, due_at, route, carrier_ref, tried, reserve,
    m.owner, m.fence
FROM jsonb_to_recordset($1) AS k(i int, id text, ordinal int)
JOIN held_by_mode AS held ON substr(held.id, 1, 8) = substr(decode(k.id, 'base64'), 1, 8) AND held.id = decode(k.id, 'base64')
JOIN message AS m ON m.verification = held.n AND m.ordinal = k.ordinal
FOR UPDATE OF m

-- name: held_by_carriers
SELECT k.i, held.*, m.ordinal, channel, m.generation, segments, m.state, tries, due_at, m.route, carrier_ref, tried, reserve,
    m.owner, m.fence
FROM jsonb_to_recordset($1) AS k(i int, route text, ref text)
JOIN LATERAL (
    SELECT * FROM message
    WHERE route = k.route AND carrier_ref = k.ref AND state IN (1, 3)
    ORDER BY verification + 0 DESC LIMIT 1 -- no index of its own may seem to help
) AS m ON true
JOIN held_by_mode AS held ON held.n = m.verification

-- name: pending_of_numbers
-- The state comes with the rest: an index of all that are pending must not seem to help.
SELECT k.i, held.* FROM jsonb_to_recordset($1) AS k(i int, tenant bigint, msisdn bigint, service bigint, state bigint)
JOIN verification AS v
    ON v.tenant = k.tenant AND v.msisdn = k.msisdn AND v.state = k.state AND v.service = k.service
JOIN held_by_mode AS held ON held.n = v.n

-- name: sends_to_numbers
SELECT v.mode, v.tenant, v.msisdn, v.sends, v.created_at, v.last_sent_at, v.particulars
FROM jsonb_to_recordset($1) AS k(msisdn bigint, since bigint)
JOIN verification AS v ON v.msisdn = k.msisdn AND (v.created_at >= k.since OR v.last_sent_at >= k.since)

-- name: calls_to_numbers
SELECT v.created_at, v.mode, v.msisdn, m.trace, v.id, m.ordinal
FROM jsonb_to_recordset($1) AS k(msisdn bigint, since bigint)
JOIN verification AS v ON v.msisdn = k.msisdn AND v.created_at >= k.since
CROSS JOIN LATERAL (
    -- Neither the index of all calls nor a walk through all messages must seem to help.
    SELECT trace, ordinal FROM message WHERE verification = v.n AND channel + 0 = 1 OFFSET 0
) AS m

-- name: tallies
SELECT t.tenant, t.msisdn, t.wrong FROM jsonb_to_recordset($1) AS k(tenant bigint, msisdn bigint)
JOIN tally AS t ON t.tenant = k.tenant AND t.msisdn = k.msisdn

-- name: factors_by_id
SELECT f.id, f.tenant, f.mode, f.msisdn, f.state, f.sealed, f.record FROM jsonb_to_recordset($1) AS k(id text)
JOIN factor AS f ON f.id = decode(k.id, 'base64')
ORDER BY f.id FOR UPDATE OF f

-- name: kept_answers
SELECT a.key, a.fingerprint, a.answer FROM jsonb_to_recordset($1) AS k(key text)
JOIN idempotency AS a ON a.key = decode(k.key, 'base64')

-- name: lock_accounts
-- Opens what is not there yet, and says what has been charged; in the order in which `put_accounts` writes.
INSERT INTO spend_account (name, day, micros)
SELECT name, day, 0 FROM jsonb_to_recordset($1) AS k(name text, day bigint)
ON CONFLICT (name, day) DO UPDATE SET micros = spend_account.micros
RETURNING name, day, micros

-- name: lock_spends
INSERT INTO spend (tenant, day, micros)
SELECT tenant, day, 0 FROM jsonb_to_recordset($1) AS k(tenant bigint, day bigint)
ON CONFLICT (tenant, day) DO UPDATE SET micros = spend.micros
RETURNING tenant, day, micros

-- name: insert_verifications
INSERT INTO verification (
    n, id, tenant, service, mode, msisdn, state, policy, key_id, created_at, expires_at, last_sent_at,
    attempts, generation, sends, own_code_digest, own_code_sealed, particulars, timeline
)
SELECT n, decode(id, 'base64'), tenant, service, mode, msisdn, state, policy, key_id, created_at, expires_at, last_sent_at,
    attempts, generation, sends, decode(own_code_digest, 'base64'), decode(own_code_sealed, 'base64'), particulars, timeline
FROM jsonb_to_recordset($1) AS k(
    n bigint, id text, tenant bigint, service bigint, mode bigint, msisdn bigint, state bigint, policy bigint, key_id bigint,
    created_at bigint, expires_at bigint, last_sent_at bigint, attempts bigint, generation bigint, sends bigint,
    own_code_digest text, own_code_sealed text, particulars text, timeline text
)

-- name: update_verifications
-- `told` is left out when the timeline is full; `ended` is always written.
UPDATE verification AS v
SET state = k.state, last_sent_at = k.last_sent_at, attempts = k.attempts, generation = k.generation, sends = k.sends,
    fallbacks = k.fallbacks, own_code_digest = decode(k.own_code_digest, 'base64'),
    own_code_sealed = decode(k.own_code_sealed, 'base64'), particulars = k.particulars,
    timeline = CASE WHEN octet_length(v.timeline) < $2 THEN v.timeline || k.told ELSE v.timeline END || k.ended
FROM jsonb_to_recordset($1) AS k(
    n bigint, state bigint, last_sent_at bigint, attempts bigint, generation bigint, sends bigint, fallbacks bigint,
    own_code_digest text, own_code_sealed text, particulars text, told text, ended text
)
WHERE v.n = k.n

-- name: insert_messages
INSERT INTO message (
    verification, ordinal, channel, generation, segments, state, tries, due_at, route, carrier_ref, tried, reserve, trace, owner
)
SELECT verification, ordinal, channel, generation, segments, state, tries, due_at, route, carrier_ref, tried, reserve, trace,
    nullif(owner, 0)
FROM jsonb_to_recordset($1) AS k(
    verification bigint, ordinal bigint, channel bigint, generation bigint, segments bigint, state bigint, tries bigint,
    due_at bigint, route text, carrier_ref text, tried text, reserve text, trace text, owner bigint
)

-- name: update_messages
UPDATE message AS m
SET state = k.state, tries = k.tries, due_at = k.due_at, route = k.route, carrier_ref = k.carrier_ref, tried = k.tried,
    reserve = k.reserve, trace = CASE WHEN octet_length(m.trace) < $2 THEN m.trace || k.trace ELSE m.trace END,
    owner = nullif(k.owner, 0), fence = greatest(m.fence, k.fence)
FROM jsonb_to_recordset($1) AS k(
    verification bigint, ordinal bigint, state bigint, tries bigint, due_at bigint, route text, carrier_ref text,
    tried text, reserve text, trace text, owner bigint, fence bigint
)
WHERE m.verification = k.verification AND m.ordinal = k.ordinal

-- name: put_tallies
INSERT INTO tally (tenant, msisdn, wrong, last_at_s)
SELECT tenant, msisdn, wrong, last_at_s FROM jsonb_to_recordset($1) AS k(tenant bigint, msisdn bigint, wrong text, last_at_s bigint)
ON CONFLICT (tenant, msisdn) DO UPDATE SET wrong = excluded.wrong, last_at_s = excluded.last_at_s

-- name: remove_tallies
DELETE FROM tally AS t USING jsonb_to_recordset($1) AS k(tenant bigint, msisdn bigint)
WHERE t.tenant = k.tenant AND t.msisdn = k.msisdn

-- name: keep_factors
UPDATE factor AS f SET state = k.state, sealed = decode(k.sealed, 'base64'), record = k.record
FROM jsonb_to_recordset($1) AS k(id text, state bigint, sealed text, record text)
WHERE f.id = decode(k.id, 'base64')

-- name: insert_reports
INSERT INTO call_report (tenant, verification, mode, msisdn, at)
SELECT tenant, decode(verification, 'base64'), mode, msisdn, at
FROM jsonb_to_recordset($1) AS k(tenant bigint, verification text, mode bigint, msisdn bigint, at bigint)

-- name: keep_answers
INSERT INTO idempotency (key, fingerprint, answer, since)
SELECT decode(key, 'base64'), decode(fingerprint, 'base64'), decode(answer, 'base64'), since
FROM jsonb_to_recordset($1) AS k(key text, fingerprint text, answer text, since bigint)

-- name: put_spends
-- A row that would pass its cap is left out, and its batch is run again with care.
INSERT INTO spend (tenant, day, micros)
SELECT tenant, day, micros FROM jsonb_to_recordset($1) AS k(tenant bigint, day bigint, micros bigint, cap bigint)
WHERE micros <= cap
ON CONFLICT (tenant, day) DO UPDATE SET micros = spend.micros + excluded.micros
WHERE spend.micros + excluded.micros <= (
    SELECT cap FROM jsonb_to_recordset($1) AS k(tenant bigint, day bigint, cap bigint)
    WHERE k.tenant = excluded.tenant AND k.day = excluded.day
)

-- name: put_accounts
INSERT INTO spend_account (name, day, micros)
SELECT name, day, micros FROM jsonb_to_recordset($1) AS k(name text, day bigint, micros bigint, cap bigint)
WHERE micros <= cap
ON CONFLICT (name, day) DO UPDATE SET micros = spend_account.micros + excluded.micros
WHERE spend_account.micros + excluded.micros <= (
    SELECT cap FROM jsonb_to_recordset($1) AS k(name text, day bigint, cap bigint)
    WHERE k.name = excluded.name AND k.day = excluded.day
)

-- name: take_due
-- Nobody waits for what another node takes at this moment. What a living node has in its hands is left to it, and
-- one that was taken for dead takes nothing; $4 is who asks, 0 where nobody counts nodes.
WITH living AS (SELECT n FROM node WHERE dead = 0),
taken AS (
    SELECT verification, ordinal, due_at FROM message
    WHERE due_at <= $1
        AND (owner IS NULL OR owner = $4 OR owner NOT IN (SELECT n FROM living))
        AND ($4 = 0 OR $4 IN (SELECT n FROM living))
    ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED
), leased AS (
    UPDATE message AS m SET due_at = $3, owner = CASE WHEN m.state = 0 THEN nullif($4, 0) END,
        fence = m.fence + CASE WHEN $4 > 0 AND m.owner IS DISTINCT FROM $4 THEN 1 ELSE 0 END
    FROM taken
    WHERE m.verification = taken.verification AND m.ordinal = taken.ordinal
    RETURNING m.*
)
SELECT held.*, m.ordinal, channel, m.generation, segments, m.state, tries, due_at, route, carrier_ref, tried, reserve,
    m.owner, m.fence
FROM leased AS m JOIN held_by_mode AS held ON held.n = m.verification
ORDER BY held.expires_at, m.verification

-- name: take_back
-- What this node took by a look whose answer was lost is due again, for it has it in no memory; $3 are the leases of
-- such looks. Another look may be at it. Receipts that are overdue wait for their lease: they have no owner.
UPDATE message AS m SET due_at = $1
FROM (
    SELECT verification, ordinal FROM message
    WHERE due_at = ANY ($3::bigint[]) AND owner = $2 AND state = 0 FOR UPDATE SKIP LOCKED
) AS lost
WHERE m.verification = lost.verification AND m.ordinal = lost.ordinal
RETURNING m.ordinal

-- name: in_dead_hands
-- What dead nodes had in their hands, a little at a time; others may look at the same moment.
SELECT verification, ordinal FROM message
WHERE due_at IS NOT NULL AND state = 0 AND owner IN (SELECT n FROM node WHERE dead = 1)
ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED

-- name: resume_messages
-- They are taken in the order of when they became due, so the earliest expiry became it first: for each second that
-- a code lives less than $2, which is the longest, a millisecond before now.
UPDATE message AS m
SET due_at = least($1, $1 - ($2 - (SELECT expires_at FROM verification WHERE n = r.verification) + $1) / 1000),
    owner = NULL, fence = m.fence + 1,
    trace = CASE WHEN octet_length(m.trace) < $3 THEN m.trace || r.trace ELSE m.trace END
FROM jsonb_to_recordset($4) AS r(verification bigint, ordinal int, trace text)
WHERE m.verification = r.verification AND m.ordinal = r.ordinal

-- name: processes_of_nodes
SELECT n, process FROM node WHERE dead = 0 AND process <> ''

-- name: bury_nodes
UPDATE node SET dead = 1 WHERE n = ANY ($1)

-- name: join_nodes
INSERT INTO node (name, roles, version, process, since, beat_at, dead)
SELECT $1, $2, $3, $4, now_ms, now_ms, 0 FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms) AS clock
RETURNING n

-- name: beat
-- $1 is who lives; $2 ms of silence are death, if it is not null, but who was away itself buries nobody: the database
-- may have stood.
-- $4 is the time by its own clock, $5 who waits there. Statements of one WITH see the rows as they were before it.
WITH clock AS (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms),
beaten AS (UPDATE node SET beat_at = clock.now_ms, ahead_ms = $4::bigint - clock.now_ms, queues = $5 FROM clock WHERE n = $1 AND dead = 0 RETURNING n),
buried AS (
    UPDATE node SET dead = 1 FROM clock
    WHERE n <> $1 AND dead = 0 AND beat_at < clock.now_ms - $2
        AND EXISTS (SELECT FROM node AS own WHERE own.n = $1 AND own.dead = 0 AND own.beat_at >= clock.now_ms - $2 / 2)
    RETURNING n
), forgotten AS (
    DELETE FROM node USING clock WHERE dead = 1 AND beat_at < clock.now_ms - $3
)
SELECT (SELECT count(*) FROM beaten), (SELECT count(*) FROM buried) + (SELECT count(*) FROM node WHERE dead = 1)

-- name: tell_up
UPDATE carrier_lease SET is_up = (carrier = ANY($2))::int WHERE node = $1 AND is_up <> (carrier = ANY($2))::int

-- name: nodes_listed
SELECT n, name, roles, greatest(0, (extract(epoch FROM clock_timestamp()) * 1000)::bigint - beat_at), dead, version, ahead_ms, queues
FROM node ORDER BY n

-- name: slots_held
SELECT carrier, slot, node, is_up FROM carrier_lease WHERE node IN (SELECT n FROM node WHERE dead = 0) ORDER BY carrier, slot

-- name: in_hands
SELECT owner, count(*) FROM message WHERE due_at IS NOT NULL AND owner IS NOT NULL GROUP BY owner

-- name: claim_slots
-- Of two that claim a slot at once the second one finds its holder living, and gets nothing.
INSERT INTO carrier_lease (carrier, slot, node, is_up)
SELECT $1, free.slot, $4, 0 FROM (
    SELECT slot FROM generate_series(0, $2::int - 1) AS slot
    WHERE NOT EXISTS (
        SELECT FROM carrier_lease AS l JOIN node AS n ON n.n = l.node
        WHERE l.carrier = $1 AND l.slot = slot.slot AND n.dead = 0
    )
    ORDER BY slot LIMIT $3
) AS free
WHERE EXISTS (SELECT FROM node WHERE n = $4 AND dead = 0)
ON CONFLICT (carrier, slot) DO UPDATE SET node = excluded.node, is_up = 0
WHERE carrier_lease.node NOT IN (SELECT n FROM node WHERE dead = 0)
RETURNING slot

-- name: release_slots
DELETE FROM carrier_lease WHERE carrier = $1 AND node = $2 AND slot = ANY($3)

-- name: leave_slots
DELETE FROM carrier_lease WHERE node = $1

-- name: leave_nodes
-- Marked first and forgotten later: what is in its hands is looked for like that of a dead one.
UPDATE node SET dead = 1 WHERE n = $1

-- name: ring
SELECT pg_notify('dastak_due', '')

-- name: expiring
SELECT id FROM verification WHERE state = 0 AND expires_at <= $1 ORDER BY expires_at LIMIT $2

-- name: newest_instant
SELECT greatest(
    coalesce((SELECT created_at FROM verification ORDER BY n DESC LIMIT 1), 0),
    coalesce((SELECT max(last_at_s) * 1000 FROM tally), 0)
)

-- name: delete_tallies
DELETE FROM tally WHERE (tenant, msisdn) IN (
    SELECT tenant, msisdn FROM tally
    WHERE last_at_s < $1 AND (wrong::jsonb ->> 0)::bigint < $2 ORDER BY last_at_s LIMIT $3
)

-- name: update_carrier
UPDATE carrier SET record = $1, sealed = $2 WHERE n = $3 AND (record::jsonb ->> 'revision')::bigint = $4

-- name: factor_by_id
SELECT id, tenant, mode, msisdn, state, sealed, record FROM factor WHERE id = $1

-- name: delete_old_verifications
WITH old AS (
    SELECT n FROM (SELECT n, created_at, state FROM verification ORDER BY n LIMIT $2) AS oldest
    WHERE created_at < $1 AND state <> 0
), letters AS (DELETE FROM message AS m USING old WHERE m.verification = old.n)
DELETE FROM verification AS v USING old WHERE v.n = old.n

-- name: newest_node
SELECT coalesce(max(n), 0) FROM node

-- name: in_earlier_hands
-- What was not due or had an owner no newer than node $2, a portion at a time: it is due once it was resumed. Of those
-- that came later nothing is taken away, nor of those that nobody took for dead yet.
SELECT verification, ordinal FROM message AS m
WHERE due_at IS NOT NULL AND state = 0 AND (owner <= $2 OR owner IS NULL AND due_at > $1)
    AND NOT EXISTS (SELECT FROM node AS n WHERE n.n = m.owner AND n.dead = 0)
ORDER BY due_at DESC LIMIT $3 FOR UPDATE

-- name: nodes_up
SELECT count(*) FROM pg_locks
WHERE locktype = 'advisory' AND classid = $1::int::oid AND objid = $2::int::oid AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())

-- name: factor_to_move
-- A check may be counting a code of it: what that has written is read here, or waits for what is written here.
SELECT id, tenant, mode, msisdn, state, sealed, record FROM factor WHERE id = $1 FOR UPDATE

-- name: server_clock
SELECT extract(epoch FROM clock_timestamp())

-- name: unused_images
SELECT i.name FROM landing_image AS i WHERE i.page = $1
    AND NOT EXISTS (SELECT 1 FROM landing_page AS p
        WHERE p.n = $1 AND position(convert_to(i.name, 'UTF8') IN p.draft) > 0)
    AND NOT EXISTS (SELECT 1 FROM landing_version AS v
        WHERE v.page = $1 AND position(convert_to(i.name, 'UTF8') IN v.body) > 0)
    AND i.unsaved_at < $2

-- name: images_saved
UPDATE landing_image SET unsaved_at = 0
WHERE page = $1 AND unsaved_at > 0 AND position(convert_to(name, 'UTF8') IN $2::bytea) > 0

-- name: leads
-- JSON may name a character that no text here can have.
SELECT n, page, at, gone_at, variant, language, msisdn, verification, record FROM landing_lead
WHERE page = $1 AND (language = $2 OR $2 IS NULL) AND (variant = $3 OR $3 IS NULL)
    AND (at >= $4 OR $4 IS NULL) AND (at < $5 OR $5 IS NULL)
    AND ($6 = '' OR $7 <> '' AND strpos('+' || msisdn, $7) > 0
        OR strpos(
            replace(lower(split_part(record, ',"consents":[', 1)), lower('"' || $8::text || '":'), ''), lower($8)
        ) > 0 AND EXISTS (
            SELECT 1 FROM json_each_text(replace(record, '\u0000', '\u0020')::json -> 'values') AS typed
            WHERE strpos(lower(typed.value), lower($6)) > 0))
    AND n < $9
ORDER BY n DESC LIMIT $10
