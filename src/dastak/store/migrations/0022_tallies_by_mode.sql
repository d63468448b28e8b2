-- Wrong attempts with test keys lock nobody's phone: in `tally` their number stands with a minus.
-- What an older program counts of them it counts with the others, as before.
-- Programs that know 0021_experiments run on this.

-- A verification as a rule sees it; it follows `held`.
CREATE VIEW held_by_mode AS
SELECT
    v.n, v.id, v.tenant, v.service, v.mode, v.msisdn, v.state, p.body AS policy, v.key_id,
    v.created_at, v.expires_at, v.last_sent_at, v.attempts, v.generation, v.sends, v.fallbacks,
    v.own_code_digest, v.own_code_sealed, v.particulars, t.wrong
FROM verification AS v
CROSS JOIN policy AS p ON p.n = v.policy
LEFT JOIN tally AS t ON t.tenant = v.tenant AND t.msisdn = CASE v.mode WHEN 0 THEN -v.msisdn ELSE v.msisdn END;
