-- What a number had is asked over all tenants, so it stands before the tenant.
DROP INDEX verification_number;
CREATE INDEX verification_number ON verification (msisdn, tenant, state);
