-- What a number had is asked over all tenants, so it stands before the tenant.
-- Programs that know 0011_counts_by_route run on this.
DROP INDEX verification_number;
CREATE INDEX verification_number ON verification (msisdn, tenant, state);
