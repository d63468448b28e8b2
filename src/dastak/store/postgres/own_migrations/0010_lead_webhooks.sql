-- A lead that is forgotten is told to nobody any more.
CREATE FUNCTION forget_lead_delivery() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM lead_delivery WHERE verification = OLD.verification;
    RETURN OLD;
END $$;
CREATE TRIGGER lead_delivery_gone AFTER DELETE ON landing_lead
FOR EACH ROW EXECUTE FUNCTION forget_lead_delivery();
