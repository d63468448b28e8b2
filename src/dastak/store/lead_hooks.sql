-- The statements of webhooks for leads; see migrations/0010_lead_webhooks.sql.

-- name: put_hook
INSERT INTO lead_hook (page, url, secret, off) VALUES (?, ?, ?, 0)
ON CONFLICT (page) DO UPDATE SET url = excluded.url, secret = excluded.secret, off = excluded.off,
    old_secret = NULL, old_until = NULL

-- name: rotate_hook
UPDATE lead_hook SET old_secret = secret, old_until = ?3, secret = ?2 WHERE page = ?1

-- name: hook
SELECT page, url, secret, off, old_secret, old_until FROM lead_hook WHERE page = ?

-- name: delete_hook
DELETE FROM lead_hook WHERE page = ?

-- name: turn_off_hook
UPDATE lead_hook SET off = 1 WHERE page = ? AND secret = ?

-- name: hurry_leads
UPDATE lead_delivery SET tries = 0, due_at = ?1 WHERE page = ?2 AND state = 'waiting'

-- name: give_up_leads
UPDATE lead_delivery SET state = 'failed', error = ?1 WHERE page = ?2 AND state = 'waiting'

-- name: failed_leads_again
UPDATE lead_delivery SET state = 'waiting', tries = 0, due_at = ?1 WHERE page = ?2 AND state = 'failed'

-- name: note_delivery
UPDATE lead_delivery SET state = ?, tries = ?, due_at = ?, error = ? WHERE verification = ? AND state = 'waiting'

-- name: delivery
SELECT state, tries, due_at, error FROM lead_delivery WHERE verification = ?

-- name: due_leads
SELECT h.page, h.url, h.secret, h.off, h.old_secret, h.old_until, p.slug, d.tries,
    l.n, l.page, l.at, l.gone_at, l.variant, l.language, l.msisdn, l.verification, l.record
FROM (
    SELECT q.verification, q.page, q.tries, q.due_at,
        row_number() OVER (PARTITION BY q.page ORDER BY q.due_at, q.verification) AS place
    FROM lead_delivery AS q JOIN lead_hook AS g ON g.page = q.page AND g.off = 0
    WHERE q.state = 'waiting' AND q.due_at <= ?1
) AS d
JOIN lead_hook AS h ON h.page = d.page
JOIN landing_page AS p ON p.n = d.page
JOIN landing_lead AS l ON l.verification = d.verification
WHERE d.place <= ?2 ORDER BY d.due_at LIMIT ?3
