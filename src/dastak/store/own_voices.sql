-- The statements of tenants' recordings; see migrations/0017_tenant_voices.sql.

-- name: voice_revision
SELECT revision FROM own_voice_revision WHERE n = 1

-- name: raise_voice_revision
UPDATE own_voice_revision SET revision = revision + 1 WHERE n = 1

-- name: own_packs
SELECT tenant, language, pack, revision FROM own_voice ORDER BY tenant, language

-- name: own_packs_of
SELECT tenant, language, pack, revision FROM own_voice WHERE tenant = ? ORDER BY language

-- name: insert_own_pack
INSERT INTO own_voice (tenant, language, pack, revision) VALUES (?1, ?2, ?3, ?4 + 1) ON CONFLICT DO NOTHING

-- name: update_own_pack
UPDATE own_voice SET pack = ?3, revision = ?4 + 1 WHERE tenant = ?1 AND language = ?2 AND revision = ?4
