-- The statements of people; see migrations/0007_people.sql.

-- name: login_of
SELECT record FROM login_settings WHERE service = ?1

-- name: put_login
INSERT INTO login_settings (service, record) VALUES (?1, ?2)
ON CONFLICT (service) DO UPDATE SET record = excluded.record

-- name: person_named
SELECT record FROM person WHERE service = ?1 AND mode = ?2 AND name_key = ?3

-- name: person_by_id
SELECT record FROM person WHERE id = ?1

-- name: people_of
SELECT record FROM person WHERE service = ?1 ORDER BY n DESC LIMIT ?2

-- name: insert_person
INSERT INTO person (id, service, mode, name_key, record) VALUES (?, ?, ?, ?, ?)

-- name: keep_person
UPDATE person SET record = ?2 WHERE id = ?1

-- name: delete_person
DELETE FROM person WHERE id = ?1

-- name: session_by_digest
SELECT record FROM browser_session WHERE digest = ?1

-- name: insert_session
INSERT INTO browser_session (digest, person, over_at, record) VALUES (?, ?, ?, ?)

-- name: keep_session
UPDATE browser_session SET record = ?2 WHERE digest = ?1

-- name: delete_session
DELETE FROM browser_session WHERE digest = ?1

-- name: delete_sessions
DELETE FROM browser_session WHERE person = ?1 AND digest <> ?2

-- name: delete_sessions_over
DELETE FROM browser_session WHERE digest IN
    (SELECT digest FROM browser_session WHERE over_at <= ?1 ORDER BY over_at LIMIT ?2)

-- name: device_of
SELECT record FROM device WHERE digest = ?1 AND person = ?2

-- name: devices_of
SELECT record FROM device WHERE person = ?1 ORDER BY over_at DESC LIMIT ?2

-- name: put_device
INSERT INTO device (digest, person, over_at, record) VALUES (?, ?, ?, ?)
ON CONFLICT (digest, person) DO UPDATE SET over_at = excluded.over_at, record = excluded.record

-- name: delete_device
DELETE FROM device WHERE digest = ?1 AND person = ?2

-- name: other_people_of_device
SELECT record FROM device WHERE digest = ?1 AND person <> ?2

-- name: delete_devices
DELETE FROM device WHERE person = ?1

-- name: delete_devices_beyond
DELETE FROM device WHERE person = ?1 AND digest NOT IN
    (SELECT digest FROM device WHERE person = ?1 ORDER BY over_at DESC LIMIT ?2)

-- name: delete_devices_over
DELETE FROM device WHERE (digest, person) IN
    (SELECT digest, person FROM device WHERE over_at <= ?1 ORDER BY over_at LIMIT ?2)

-- name: insert_recovery_code
INSERT INTO recovery_code (person, digest) VALUES (?, ?)

-- name: spend_recovery_code
UPDATE recovery_code SET used_at = ?3 WHERE person = ?1 AND digest = ?2 AND used_at IS NULL

-- name: recovery_codes_left
SELECT count(*) FROM recovery_code WHERE person = ?1 AND used_at IS NULL

-- name: delete_recovery_codes
DELETE FROM recovery_code WHERE person = ?1

-- name: insert_sign_in
INSERT INTO sign_in (person, record) VALUES (?, ?)

-- name: delete_sign_ins_beyond
DELETE FROM sign_in WHERE person = ?1 AND n <= coalesce(
    (SELECT n FROM sign_in WHERE person = ?1 ORDER BY n DESC LIMIT 1 OFFSET ?2), -1)

-- name: sign_ins_of
SELECT record FROM sign_in WHERE person = ?1 ORDER BY n DESC LIMIT ?2

-- name: delete_sign_ins
DELETE FROM sign_in WHERE person = ?1

-- name: sign_in_tally
SELECT record FROM sign_in_tally WHERE key = ?1

-- name: put_sign_in_tally
INSERT INTO sign_in_tally (key, over_at, record) VALUES (?, ?, ?)
ON CONFLICT (key) DO UPDATE SET over_at = excluded.over_at, record = excluded.record

-- name: delete_sign_in_tallies_over
DELETE FROM sign_in_tally WHERE key IN
    (SELECT key FROM sign_in_tally WHERE over_at <= ?1 ORDER BY over_at LIMIT ?2)

-- name: insert_invitation
INSERT INTO invitation (digest, over_at, record) VALUES (?, ?, ?)

-- name: invitation_of
SELECT record FROM invitation WHERE digest = ?1

-- name: delete_invitation
DELETE FROM invitation WHERE digest = ?1

-- name: insert_password_link
INSERT INTO password_link (digest, person, over_at, record) VALUES (?1, ?2, ?3, ?4)

-- name: password_link_of
SELECT record FROM password_link WHERE digest = ?1

-- name: delete_password_link
DELETE FROM password_link WHERE digest = ?1

-- name: delete_password_links_of
DELETE FROM password_link WHERE person = ?1

-- name: delete_password_links_over
DELETE FROM password_link WHERE digest IN (SELECT digest FROM password_link WHERE over_at < ?1 LIMIT ?2)
