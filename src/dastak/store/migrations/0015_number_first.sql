-- What a number had is asked over all tenants, so it stands before the tenant.
-- Nobody writes while it is built, so nodes of older programs are stopped before.
DROP INDEX verification_number;
CREATE INDEX verification_number ON verification (msisdn, tenant, state);
