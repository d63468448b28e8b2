-- The statements of login for other sites; see migrations/0009_oidc.sql.

-- name: clients_of
SELECT n, record FROM oidc_client WHERE tenant = ?1 ORDER BY n

-- name: client_by_id
SELECT n, record FROM oidc_client WHERE id = ?1

-- name: client_by_n
SELECT n, record FROM oidc_client WHERE n = ?1

-- name: insert_client
INSERT INTO oidc_client (id, tenant, record) VALUES (?1, ?2, ?3) RETURNING n

-- name: update_client
UPDATE oidc_client SET record = ?2 WHERE n = ?1

-- name: delete_client
DELETE FROM oidc_client WHERE n = ?1

-- name: delete_tokens_of_client
DELETE FROM oidc_token WHERE grant_n IN (SELECT n FROM oidc_grant WHERE client = ?1)

-- name: delete_grants_of_client
DELETE FROM oidc_grant WHERE client = ?1

-- name: delete_consents_of_client
DELETE FROM oidc_consent WHERE client = ?1

-- name: oidc_visit
SELECT record FROM oidc_visit WHERE digest = ?1

-- name: put_oidc_visit
INSERT INTO oidc_visit (digest, ends_at, record) VALUES (?1, ?2, ?3)
ON CONFLICT (digest) DO UPDATE SET ends_at = excluded.ends_at, record = excluded.record

-- name: delete_oidc_visit
DELETE FROM oidc_visit WHERE digest = ?1

-- name: revoke_grants_in_visit
UPDATE oidc_grant SET revoked_at = ?2 WHERE visit = ?1 AND revoked_at IS NULL

-- name: move_grants_in_visit
UPDATE oidc_grant SET visit = ?2 WHERE visit = ?1 AND revoked_at IS NULL

-- name: move_grants_of_account_in_visit
UPDATE oidc_grant SET visit = ?2 WHERE visit = ?1 AND account = ?3 AND revoked_at IS NULL

-- name: revoke_grants_of_account
UPDATE oidc_grant SET revoked_at = ?2
WHERE account = ?1 AND revoked_at IS NULL AND (visit IS NULL OR visit <> ?3)

-- name: insert_grant
INSERT INTO oidc_grant (id, client, visit, ends_at, record, account) VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING n

-- name: insert_token
INSERT INTO oidc_token (digest, grant_n, kind, ends_at, used_at) VALUES (?1, ?2, ?3, ?4, NULL)

-- name: oidc_token
SELECT t.digest, t.kind, t.ends_at, t.used_at, g.n, g.revoked_at, g.record
FROM oidc_token AS t JOIN oidc_grant AS g ON g.n = t.grant_n
WHERE t.digest = ?1

-- name: spend_token
UPDATE oidc_token SET used_at = ?2 WHERE digest = ?1 AND used_at IS NULL

-- name: revoke_grant
UPDATE oidc_grant SET revoked_at = ?2 WHERE n = ?1 AND revoked_at IS NULL

-- name: tally_of_number
SELECT wrong FROM tally WHERE tenant = ?1 AND msisdn = ?2

-- name: oidc_consent
SELECT scopes FROM oidc_consent WHERE client = ?1 AND subject = ?2

-- name: put_consent
INSERT INTO oidc_consent (client, subject, scopes, at) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (client, subject) DO UPDATE SET scopes = excluded.scopes, at = excluded.at

-- name: signing_keys
SELECT record, sealed FROM oidc_key ORDER BY n

-- name: delete_signing_keys
DELETE FROM oidc_key

-- name: insert_signing_key
INSERT INTO oidc_key (record, sealed) VALUES (?1, ?2)

-- name: subject_seed
SELECT sealed FROM oidc_seed WHERE n = 1

-- name: insert_subject_seed
INSERT INTO oidc_seed (n, sealed) VALUES (1, ?1)

-- name: sweep_oidc_visits
DELETE FROM oidc_visit WHERE digest IN (SELECT digest FROM oidc_visit WHERE ends_at < ?1 LIMIT ?2)

-- name: sweep_access_tokens
DELETE FROM oidc_token WHERE digest IN (SELECT digest FROM oidc_token WHERE kind = 1 AND ends_at < ?1 LIMIT ?2)

-- name: grants_over
SELECT n FROM oidc_grant WHERE ends_at < ?1 LIMIT ?2

-- name: delete_tokens_of_grant
DELETE FROM oidc_token WHERE grant_n = ?1

-- name: delete_grant
DELETE FROM oidc_grant WHERE n = ?1
